// pgflow's own SQL client, from npm, at what its edge-worker does with it: a batch polled, started, completed a task at a
// time, and waited for. Driven by prove_edge_worker.py; test data only, nothing of the project needs it.
//   node _npm_worker.mjs FOLDER SOCKET_DIR PORT DATABASE FLOW WORKER_ID TASKS
// FOLDER has node_modules with @pgflow/core and postgres. The last call is a fail_task for a task that is none.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, host, port, database, flow, worker, tasks] = process.argv.slice(2);
const require = createRequire(`${folder}/x.js`);
const { default: postgres } = await import(pathToFileURL(require.resolve('postgres')).href);
const core = `${folder}/node_modules/@pgflow/core/dist/PgflowSqlClient.js`;
const { PgflowSqlClient } = await import(pathToFileURL(core).href);

const sql = postgres({ path: `${host}/.s.PGSQL.${port}`, database, username: 'postgres', max: 4, prepare: false });
const client = new PgflowSqlClient(sql);
let done = 0;
while (done < Number(tasks)) {
  const messages = await client.readMessages(flow, 60, 10, 2, 100);
  if (messages.length === 0) continue;
  const started = await client.startTasks(flow, messages.map((message) => message.msg_id), worker);
  await Promise.all(started.map((task) => client.completeTask(task, { p: '' })));
  done += started.length;
}
await client.failTask({ run_id: worker, step_slug: 'none', task_index: 0 }, new Error('none'));
await sql.end();
console.log(JSON.stringify({ done }));
