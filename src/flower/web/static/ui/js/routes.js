// Paths and the modules of their pages. `flower/web/shell.py` has the same paths. `nav`: listed in the
// sidebar; `key`: shortcut after `g`.

/**
 * @typedef {{name: string, match: RegExp, load: () => Promise<any>, path?: string, icon?: string,
 *   key?: string, nav?: boolean}} Route
 */

/** @type {Route[]} */
export const ROUTES = [
  {
    name: 'overview',
    match: /^$/,
    load: () => import('./pages/overview.js'),
    path: '',
    icon: 'overview',
    key: 'o',
    nav: true,
  },
  {
    name: 'tasks',
    match: /^tasks$/,
    load: () => import('./pages/tasks.js'),
    path: 'tasks',
    icon: 'tasks',
    key: 't',
    nav: true,
  },
  { name: 'task', match: /^task\/(.+)$/, load: () => import('./pages/task.js') },
  {
    name: 'failures',
    match: /^failures$/,
    load: () => import('./pages/failures.js'),
    path: 'failures',
    icon: 'failures',
    key: 'f',
    nav: true,
  },
  { name: 'failure', match: /^failures\/(.+)$/, load: () => import('./pages/failure.js') },
  {
    name: 'workflows',
    match: /^workflows$/,
    load: () => import('./pages/workflows.js'),
    path: 'workflows',
    icon: 'workflows',
    key: 'c',
    nav: true,
  },
  { name: 'workflow', match: /^workflows\/(.+)$/, load: () => import('./pages/workflow.js') },
  {
    name: 'workers',
    match: /^workers$/,
    load: () => import('./pages/workers.js'),
    path: 'workers',
    icon: 'workers',
    key: 'w',
    nav: true,
  },
  { name: 'worker', match: /^worker\/(.+)$/, load: () => import('./pages/worker.js') },
  {
    name: 'queues',
    match: /^(?:queues|broker)$/,
    load: () => import('./pages/queues.js'),
    path: 'queues',
    icon: 'queues',
    key: 'q',
    nav: true,
  },
  { name: 'queue', match: /^queues\/(.+)$/, load: () => import('./pages/queue.js') },
  {
    name: 'jobs',
    match: /^jobs$/,
    load: () => import('./pages/jobs.js'),
    path: 'jobs',
    icon: 'jobs',
    key: 'j',
    nav: true,
  },
  { name: 'job', match: /^jobs\/(.+)$/, load: () => import('./pages/job.js') },
  {
    name: 'audit',
    match: /^audit$/,
    load: () => import('./pages/audit.js'),
    path: 'audit',
    icon: 'audit',
    key: 'a',
    nav: true,
  },
  {
    name: 'settings',
    match: /^settings$/,
    load: () => import('./pages/settings.js'),
    path: 'settings',
    icon: 'settings',
    key: 's',
    nav: true,
  },
];

/** The route of a path and the decoded id in it; null if no page has this path.
 * @param {string} path @returns {{route: Route, id: string} | null} */
export function findRoute(path) {
  for (const route of ROUTES) {
    const match = route.match.exec(path);
    if (match) return { route, id: match[1] === undefined ? '' : decode(match[1]) };
  }
  return null;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
