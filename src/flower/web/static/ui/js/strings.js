// Every text of the pages, by group; imported as `T`, a namespace, so that a bundle has
// the texts of a page in the file of the page. A translation is another module with the same keys.

export { audit } from './strings/audit.js';
export { act } from './strings/bulk.js';
export { failures } from './strings/failures.js';
export { help } from './strings/help.js';
export { jobs } from './strings/jobs.js';
export { overview } from './strings/overview.js';
export { queues } from './strings/queues.js';
export { doubleRun, gaps, live, lost, recorder, stale } from './strings/recording.js';
export { settings, store } from './strings/settings.js';
export { broken, nav, notFound, pages, palette } from './strings/shell.js';
export { task } from './strings/task.js';
export { tasks } from './strings/tasks.js';
export { workerStatus } from './strings/workerStatus.js';
export { worker, workers } from './strings/workers.js';
export { workflows } from './strings/workflows.js';

export const product = 'Bellflower';
export const undo = 'Undo';
export const cancel = 'Cancel';
export const reload = 'Reload';
export const more = 'More actions';
export const table = 'Table';
export const chart = 'Chart';
export const anonymous = 'anonymous';
export const unknownName = 'unknown name';
export const viewTasks = 'View tasks';
export const state = (name) => name.charAt(0) + name.slice(1).toLowerCase();
export const time = {
  now: 'now',
  ago: (span) => `${span} ago`,
  ahead: (span) => `in ${span}`,
};
export const problem = {
  unknown: 'Request failed',
  unreachable: 'Server unreachable',
  unreachableHint: 'The server may be restarting. Retrying automatically.',
  retry: 'Retry',
};
export const copy = {
  of: (what) => `Copy ${what}`,
  done: (what) => `Copied ${what}`,
  failed: 'Copying is blocked by the browser',
  id: 'ID',
  link: 'link',
  text: 'text',
};
export const denied = {
  readOnly: 'Read-only mode',
  noAuth:
    'Actions are disabled because no authentication is configured. ' +
    'Set --basic-auth or --auth, or FLOWER_UNAUTHENTICATED_API=true.',
  permission: (permission) => `You need the “${permission}” permission. Ask an admin.`,
};
export const ops = {
  unknown: 'Unknown',
  none: 'None',
  notReported: 'Not reported yet',
  more: 'Load more',
  all: 'All',
  filter: 'Filter',
  clear: 'Clear filters',
  since: 'Time range',
  ranges: {
    '-1h': '1 h',
    '-6h': '6 h',
    '-24h': '24 h',
    '-7d': '7 d',
    '-30d': '30 d',
  },
  csv: 'CSV',
  ndjson: 'NDJSON',
  export: 'Export',
  showingOf: (n, all) => `Showing ${n} of ${all}. Filter to narrow the list.`,
};
