import { Flow, compileFlow } from '@pgflow/dsl';
import { writeFileSync } from 'node:fs';
// one: a chain that fans out and in
const order = new Flow({ slug: 'fulfilOrder', maxAttempts: 3, baseDelay: 2, timeout: 30 })
  .step({ slug: 'validate' }, (i) => ({ id: i.run.id }))
  .step({ slug: 'reserve', dependsOn: ['validate'] }, () => ({ ok: true }))
  .step({ slug: 'charge', dependsOn: ['reserve'], maxAttempts: 5, timeout: 60 }, () => ({ ok: true }))
  .step({ slug: 'label', dependsOn: ['charge'] }, () => ({ ok: true }))
  .step({ slug: 'invoice', dependsOn: ['charge'] }, () => ({ ok: true }))
  .step({ slug: 'notify', dependsOn: ['charge'] }, () => ({ ok: true }))
  .step({ slug: 'close', dependsOn: ['label', 'invoice', 'notify'] }, () => ({ ok: true }));
const crawl = new Flow({ slug: 'crawl_site' })
  .step({ slug: 'list_pages' }, () => ['a'])
  .map({ slug: 'fetch', array: 'list_pages', timeout: 20 }, (page) => ({ page }))
  .map({ slug: 'summarise', array: 'fetch' }, (page) => ({ page }))
  .step({ slug: 'index', dependsOn: ['summarise', 'list_pages'] }, () => ({ ok: true }))
  .step({ slug: 'report', dependsOn: ['index'] }, () => ({ ok: true }));
const sync = new Flow({ slug: 'sync_accounts', maxAttempts: 4, baseDelay: 1 })
  .map({ slug: 'pull', maxAttempts: 6, baseDelay: 1 }, (account) => ({ account }))
  .step({ slug: 'merge', dependsOn: ['pull'], startDelay: 1 }, () => ({ ok: true }))
  .step({ slug: 'push', dependsOn: ['merge'], maxAttempts: 2, baseDelay: 1, timeout: 5 }, () => ({ ok: true }))
  .step({ slug: 'audit', dependsOn: ['merge'], startDelay: 2 }, () => ({ ok: true }));
for (const flow of [order, crawl, sync]) {
  writeFileSync(`${flow.slug === "fulfilOrder" ? "fulfil_order" : flow.slug}.sql`, compileFlow(flow).join('\n') + '\n');
}
