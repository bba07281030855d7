SELECT pgflow.create_flow('sync_accounts', max_attempts => 4, base_delay => 1);
SELECT pgflow.add_step('sync_accounts', 'pull', max_attempts => 6, base_delay => 1, step_type => 'map');
SELECT pgflow.add_step('sync_accounts', 'merge', ARRAY['pull'], start_delay => 1);
SELECT pgflow.add_step('sync_accounts', 'push', ARRAY['merge'], max_attempts => 2, base_delay => 1, timeout => 5);
SELECT pgflow.add_step('sync_accounts', 'audit', ARRAY['merge'], start_delay => 2);
