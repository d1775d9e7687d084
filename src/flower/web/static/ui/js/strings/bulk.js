// Bulk actions.
import { plural } from '../format/numbers.js';

export const act = {
  titles: {
    rerun: (n) => `Re-run ${plural(n, 'task')}?`,
    revoke: (n) => `Revoke ${plural(n, 'task')}?`,
    terminate: (n) => `Terminate ${plural(n, 'task')}?`,
    abort: (n) => `Abort ${plural(n, 'task')}?`,
  },
  texts: {
    rerun: 'Each task is sent again with the same arguments and a new ID.',
    revoke:
      'Workers skip tasks that have not started. Running tasks are not stopped; ' +
      'use Terminate. This cannot be undone.',
    terminate:
      'Tasks that have not started are skipped. Running tasks are killed with the ' +
      'selected signal. This cannot be undone.',
    abort: 'Requests a stop; only AbortableTasks that check for it stop.',
  },
  verbs: {
    rerun: (n) => `Re-run ${n}`,
    revoke: (n) => `Revoke ${n}`,
    terminate: (n) => `Terminate ${n}`,
    abort: (n) => `Abort ${n}`,
  },
  effect: {
    rerun: 'Will be re-run',
    revoke: 'Will be revoked',
    terminate: 'Will be terminated',
    abort: 'Will be aborted',
  },
  nothing: {
    rerun: 'No selected task can be re-run.',
    revoke: 'No selected task can be revoked.',
    terminate: 'No selected task can be terminated.',
    abort: 'No selected task can be aborted.',
  },
  counting: 'Counting…',
  skipped: 'Skipped',
  minDuration: 'Estimated time',
  tooMany: (n, limit) => `${n} tasks match; a bulk job takes up to ${limit}. Narrow the search.`,
  workflowTasks: (n) =>
    `Of these, ${n} belong to a workflow. Its later steps (chain, chord, callbacks) are not sent again.`,
  runningContinue: (n) =>
    `Of these, ${n} are running and continue: Revoke does not stop them. Use Terminate.`,
  typeCount: (n) => `Type ${n} to confirm`,
  signal: 'Signal',
  started: (n) => `${plural(n, 'task')}: job started`,
  open: 'View job',
  states: 'States',
  more: 'and more',
};
