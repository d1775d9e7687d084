// Every text of the pages, by group. A translation is another module with the same keys.

import { audit } from './strings/audit.js';
import { act, jobs } from './strings/bulk.js';
import { failures } from './strings/failures.js';
import { overview } from './strings/overview.js';
import { queues } from './strings/queues.js';
import { gaps, live, lost, recorder, stale } from './strings/recording.js';
import { settings, store } from './strings/settings.js';
import { broken, help, nav, notFound, pages, palette } from './strings/shell.js';
import { task } from './strings/task.js';
import { tasks } from './strings/tasks.js';
import { worker, workers } from './strings/workers.js';
import { workflows } from './strings/workflows.js';

export const T = {
  product: 'Bellflower',
  undo: 'Undo',
  cancel: 'Cancel',
  reload: 'Reload',
  more: 'More actions',
  table: 'Table',
  chart: 'Chart',
  anonymous: 'anonymous',
  unknownName: 'unknown name',
  viewTasks: 'View tasks',
  state: (name) => name.charAt(0) + name.slice(1).toLowerCase(),
  time: {
    now: 'now',
    ago: (span) => `${span} ago`,
    ahead: (span) => `in ${span}`,
  },
  problem: {
    unknown: 'Request failed',
    unreachable: 'Server unreachable',
    unreachableHint: 'The server may be restarting. Retrying automatically.',
    retry: 'Retry',
  },
  pages,
  nav,
  live,
  stale,
  recorder,
  lost,
  gaps,
  copy: {
    of: (what) => `Copy ${what}`,
    done: (what) => `Copied ${what}`,
    failed: 'Copying is blocked by the browser',
    id: 'ID',
    link: 'link',
    text: 'text',
  },
  notFound,
  broken,
  palette,
  help,
  denied: {
    readOnly: 'Read-only mode',
    noAuth:
      'Actions are disabled because no authentication is configured. ' +
      'Set --basic-auth or --auth, or FLOWER_UNAUTHENTICATED_API=true.',
    permission: (permission) => `You need the “${permission}” permission. Ask an admin.`,
  },
  ops: {
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
  },
  workers,
  worker,
  queues,
  audit,
  jobs,
  settings,
  store,
  overview,
  failures,
  workflows,
  tasks,
  act,
  task,
};
