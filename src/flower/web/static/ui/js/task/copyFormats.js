// A task as others write it: a call in Python, a request for curl, the address of its logs.
// DOM-less.
import { parse, toJson } from '../format/python.js';

/** @param {string} text */
const quotePython = (text) =>
  `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'").replace(/\n/g, '\\n')}'`;
/** @param {string} text */
const quoteShell = (text) => `'${text.replace(/'/g, "'\\''")}'`;

/** @param {any} task */
export function formatPythonCall(task) {
  const lines = [`app.send_task(`, `    ${quotePython(task.name ?? '')},`];
  if (task.args && task.args !== '()') lines.push(`    args=${task.args},`);
  if (task.kwargs && task.kwargs !== '{}') lines.push(`    kwargs=${task.kwargs},`);
  if (task.queue) lines.push(`    queue=${quotePython(task.queue)},`);
  if (task.priority != null) lines.push(`    priority=${task.priority},`);
  const doubt = [task.args, task.kwargs].some((text) => text && !parse(text));
  return `${doubt ? '# Celery cut these arguments: complete them first\n' : ''}${lines.join('\n')}\n)`;
}

/** @param {any} task @param {string} address of its rerun */
export function formatCurl(task, address) {
  const [args, kwargs] = [toJson(parse(task.args)), toJson(parse(task.kwargs))];
  const body = `{${[args && `"args": ${args}`, kwargs && `"kwargs": ${kwargs}`].filter(Boolean).join(', ')}}`;
  return [
    `curl -X POST ${quoteShell(address)}`,
    '-H "Authorization: Bearer $BELLFLOWER_TOKEN"',
    "-H 'Content-Type: application/json'",
    `-d ${quoteShell(body)}`,
  ].join(' \\\n  ');
}

/**
 * The address of a task's logs by the template of the option `log_url`; '' if there is none. Only
 * http and https lead anywhere.
 * @param {string} template
 * @param {any} task
 */
export function buildLogUrl(template, task) {
  if (!/^https?:\/\//i.test(template)) return '';
  const start = task.started ?? task.received ?? task.sent;
  const end = ['SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED'].includes(task.state)
    ? task.timestamp
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
