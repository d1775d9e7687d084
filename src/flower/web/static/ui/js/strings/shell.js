// The shell: navigation, command palette, keyboard help, error pages.

export const pages = {
  overview: 'Overview',
  tasks: 'Tasks',
  failures: 'Failures',
  workflows: 'Workflows',
  workers: 'Workers',
  queues: 'Queues',
  audit: 'Audit log',
  jobs: 'Bulk jobs',
  settings: 'Settings',
};

export const nav = {
  unresolvedGroups: 'unresolved groups',
  onlineWorkers: 'online',
  growing: 'growing',
  removeSaved: (name) => `Remove “${name}”`,
  main: 'Main',
  saved: 'Saved searches',
  menu: 'Menu',
  palette: 'Go to…',
  skip: 'Skip to content',
  close: 'Close',
  breadcrumb: 'Breadcrumb',
  api: 'HTTP API',
  signOut: 'Sign out',
  keys: 'Keyboard shortcuts',
  theme: (setting) => `Theme: ${setting}`,
  themes: {
    light: 'Light',
    dark: 'Dark',
    system: 'System',
  },
  account: (name) => (name ? `Signed in as ${name}` : 'No sign-in required'),
  readOnly: 'Read-only mode',
};

export const notFound = {
  title: 'Page not found',
  text: 'Check the address.',
  home: 'Go to Tasks',
};

export const broken = {
  title: 'This page failed to load',
  text: 'The server may have been updated. Reload the page.',
};

export const palette = {
  title: 'Go to',
  placeholder: 'Go to a page, task, worker, queue…',
  search: (text) => `Search tasks for ${text}`,
  kinds: {
    page: 'Page',
    task: 'Task',
    type: 'Task type',
    worker: 'Worker',
    queue: 'Queue',
    saved: 'Saved search',
    action: 'Action',
  },
  actions: {
    theme: 'Switch theme',
    live: 'Pause or resume live updates',
    keys: 'Show keyboard shortcuts',
  },
};
