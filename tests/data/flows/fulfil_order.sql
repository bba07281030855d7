SELECT pgflow.create_flow('fulfilOrder', max_attempts => 3, base_delay => 2, timeout => 30);
SELECT pgflow.add_step('fulfilOrder', 'validate');
SELECT pgflow.add_step('fulfilOrder', 'reserve', ARRAY['validate']);
SELECT pgflow.add_step('fulfilOrder', 'charge', ARRAY['reserve'], max_attempts => 5, timeout => 60);
SELECT pgflow.add_step('fulfilOrder', 'label', ARRAY['charge']);
SELECT pgflow.add_step('fulfilOrder', 'invoice', ARRAY['charge']);
SELECT pgflow.add_step('fulfilOrder', 'notify', ARRAY['charge']);
SELECT pgflow.add_step('fulfilOrder', 'close', ARRAY['label', 'invoice', 'notify']);
