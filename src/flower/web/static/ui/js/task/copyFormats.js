// A task in other formats: a Python call, a curl command, the URL of its logs.
import { toJson } from './literalTree.js';

/** @param {string} text */
const quotePython = (text) =>
  `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'").replace(/\n/g, '\\n')}'`;
/** @param {string} text */
const quoteShell = (text) => `'${text.replace(/'/g, "'\\''")}'`;

/** A call of `send_task` with the recorded arguments. @param {any} task */
export function formatPythonCall(task) {
  const lines = [`app.send_task(`, `    ${quotePython(task.name ?? '')},`];
  if (task.args && task.args !== '()') lines.push(`    args=${task.args},`);
  if (task.kwargs && task.kwargs !== '{}') lines.push(`    kwargs=${task.kwargs},`);
  if (task.queue) lines.push(`    queue=${quotePython(task.queue)},`);
  if (task.priority != null) lines.push(`    priority=${task.priority},`);
  const isTruncated = ['args', 'kwargs'].some((key) => task[key] && !task.values?.[key]);
  if (isTruncated) lines.unshift('# The arguments were truncated by Celery: complete them first');
  return `${lines.join('\n')}\n)`;
}

/** A curl command that re-runs the task. @param {any} task @param {string} address of its rerun */
export function formatCurl(task, address) {
  const parts = ['args', 'kwargs'].map((key) => [key, toJson(task.values?.[key])]);
  const members = parts
    .filter(([, json]) => json !== null)
    .map(([key, json]) => `"${key}": ${json}`);
  const body = `{${members.join(', ')}}`;
  return [
    `curl -X POST ${quoteShell(address)}`,
    '-H "Authorization: Bearer $BELLFLOWER_TOKEN"',
    "-H 'Content-Type: application/json'",
    `-d ${quoteShell(body)}`,
  ].join(' \\\n  ');
}

/**
 * The URL of a task's logs by the template of the option `log_url`; '' unless it is http or https.
 * @param {string} template
 * @param {any} task
 */
export function buildLogUrl(template, task) {
  if (!/^https?:\/\//i.test(template)) return '';
  const start = task.started_at ?? task.received_at ?? task.sent_at;
  const end = ['SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED'].includes(task.state)
    ? task.last_event_at
    : null;
  const iso = (at) => (at == null ? '' : new Date(at * 1000).toISOString());
  const values = {
    uuid: task.uuid,
    root_id: task.root_id ?? task.uuid,
    name: task.name ?? '',
    worker: task.worker ?? '',
    pid: task.pid ?? '',
    queue: task.queue ?? '',
    start: iso(start),
    end: iso(end),
  };
  return template.replace(/\{(\w+)\}/g, (all, key) =>
    key in values ? encodeURIComponent(String(values[key])) : all,
  );
}
