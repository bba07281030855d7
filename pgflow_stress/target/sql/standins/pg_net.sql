-- Stand-in for pg_net: no request is sent.
CREATE SCHEMA IF NOT EXISTS net;
CREATE FUNCTION net.http_post(
    url text,
    body jsonb DEFAULT '{}',
    params jsonb DEFAULT '{}',
    headers jsonb DEFAULT '{"Content-Type": "application/json"}',
    timeout_milliseconds integer DEFAULT 5000
) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
