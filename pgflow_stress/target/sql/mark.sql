-- The mark by which the tool knows a database that it may fill.
CREATE SCHEMA IF NOT EXISTS pgflow_stress;
COMMENT ON SCHEMA pgflow_stress IS 'pgflow-stress: this database may be used and filled by the stress tester';
CREATE TABLE IF NOT EXISTS pgflow_stress.installation (
    installed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    facts jsonb NOT NULL
);
-- Whoever may use the database may know what was installed.
GRANT USAGE ON SCHEMA pgflow_stress TO PUBLIC;
GRANT SELECT ON pgflow_stress.installation TO PUBLIC;
