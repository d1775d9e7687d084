// The pages of workflows.

export const workflows = {
  columns: {
    state: 'State',
    name: 'Root task',
    progress: 'Progress',
    failed: 'Failed',
    running: 'Running',
    duration: 'Duration',
    started: 'Started',
  },
  progress: (finished, all, failed) => `${finished} of ${all} finished, ${failed} failed`,
  noneTitle: 'No workflows yet',
  noneMatch: 'No matching workflows',
  noneText:
    'A workflow appears when a task sends other tasks: chains, groups, chords, ' +
    'or calls from within a task.',
  all: 'All workflows',
  states: {
    FAILURE: 'Failed',
    SUCCESS: 'Succeeded',
    STARTED: 'Running',
    RECEIVED: 'Waiting',
  },
  loadOlder: 'Load older',
  notFound: 'Workflow not found',
  started: 'started',
  tasks: 'Tasks',
  taskStates: 'States',
  tooMany: (n) => `Too many tasks to draw (${n}). See the waterfall.`,
};
