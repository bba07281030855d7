SELECT pgflow.create_flow('route_ticket', max_attempts => 2);
SELECT pgflow.add_step('route_ticket', 'classify');
SELECT pgflow.add_step('route_ticket', 'premium', ARRAY['classify'], required_input_pattern => '{"classify": {"plan": "premium"}}');
SELECT pgflow.add_step('route_ticket', 'free', ARRAY['classify'], forbidden_input_pattern => '{"classify": {"plan": "premium"}}', when_unmet => 'skip-cascade');
SELECT pgflow.add_step('route_ticket', 'after_free', ARRAY['free']);
SELECT pgflow.add_step('route_ticket', 'vip', required_input_pattern => '{"vip": true}', when_unmet => 'fail');
SELECT pgflow.add_step('route_ticket', 'never', required_input_pattern => '{"vip": false}');
SELECT pgflow.add_step('route_ticket', 'items', ARRAY['never'], step_type => 'map');
SELECT pgflow.add_step('route_ticket', 'close', ARRAY['premium', 'items', 'free'], when_exhausted => 'skip');
