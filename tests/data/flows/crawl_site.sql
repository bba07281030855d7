SELECT pgflow.create_flow('crawl_site');
SELECT pgflow.add_step('crawl_site', 'list_pages');
SELECT pgflow.add_step('crawl_site', 'fetch', ARRAY['list_pages'], timeout => 20, step_type => 'map');
SELECT pgflow.add_step('crawl_site', 'summarise', ARRAY['fetch'], step_type => 'map');
SELECT pgflow.add_step('crawl_site', 'index', ARRAY['summarise', 'list_pages']);
SELECT pgflow.add_step('crawl_site', 'report', ARRAY['index']);
