// The state of the recording: live updates, old figures, lost tasks, gaps.
import { plural } from '../format/numbers.js';

export const live = {
  live: 'Live',
  paused: 'Paused',
  connecting: 'Connecting',
  reconnecting: 'Reconnecting',
  none: 'No live updates',
  idle: 'Paused (idle)',
  pauseHint: 'press L',
  toPause: 'Pause live updates',
  toResume: 'Resume live updates',
  noneHint: 'Live updates are unavailable. Reload to refresh.',
  delayed: (span) => `${span} delayed`,
  delayedHint: 'Age of the newest recorded event',
  stopped: 'Not recording',
  unreachable: 'Broker unreachable',
  stale: 'Stale',
  noData: 'No data yet',
  fresh: (n) => `${n > 999 ? '999+' : n} new`,
  freshHint: 'Show new tasks',
};

export const stale = {
  since: {
    disconnected: (at) => `Broker unreachable since ${at}`,
    blocked: (at) => `Recording paused since ${at}: the store cannot be written`,
    stopped: (at) => `Recorder not running since ${at}`,
    behind: (at, why) => `${why} Events after ${at} are not recorded yet`,
  },
  text: 'Worker and queue figures are from then.',
  asOf: (at) => `as of ${at}`,
};

export const recorder = {
  recording: 'Recording',
  noEvents: 'Recording. No events yet',
  last: (age) => `last event ${age}`,
  none: 'No recorder has written to this store yet',
  stopped: (age) => `Not recording. Recorder last seen ${age}`,
  blocked: (why) => `Not recording: ${why}`,
  unreachable: (why) => `Broker unreachable: ${why}`,
};

export const lost = {
  mark: 'lost',
  hint: (reason) => `State not known: ${reason}`,
  title: (at) => `State not known since ${at}`,
  lastState: 'Last proven state',
  on: 'on',
  queried: 'Queried',
  nothingQueried: 'nothing: reconciliation is disabled',
  advice: {
    worker_offline:
      'The worker stopped while it had the task. The task may have run partly. ' +
      'Re-run it if it can safely run twice.',
    message_unacknowledged:
      'The broker keeps the message as unacknowledged and delivers it again after the ' +
      'visibility timeout. Wait, or re-run the task if it can safely run twice.',
    not_in_queue:
      'The message is neither in the queue nor at a worker. The task does not run unless it is ' +
      'sent again: re-run it.',
    end_not_observed:
      'The task has probably ended, but its outcome was not recorded and no result is stored. ' +
      'Check its effects before you re-run it.',
    not_received:
      'No worker has received the task. Check that a worker consumes its queue, or re-run it.',
  },
  facet: 'State not known',
};

export const gaps = {
  title: 'Gaps in the recording',
  text: 'Events of these intervals may be missing: tasks, states and counts can be incomplete.',
  interval: (from, to) => `${from} – ${to}`,
  onlyWorker: (worker) => `only events of ${worker}`,
  label: (all) => `Events may be missing: ${all}`,
  short: 'events may be missing',
  note: (interval) => `Events may be missing ${interval}`,
  notes: (n) => `Events may be missing in ${plural(n, 'interval')}`,
  count: (n) => plural(n, 'gap'),
  all: 'All gaps',
  none: 'No gaps recorded',
  showDismissed: 'Show dismissed',
  dismiss: 'Dismiss',
  dismissHint: 'Hide this gap on all pages, for all users',
  dismissed: 'Gap dismissed',
  dismissedBy: (user) => `dismissed by ${user}`,
  restore: 'Show again',
  columns: {
    from: 'From',
    to: 'To',
    duration: 'Duration',
    cause: 'Cause',
    worker: 'Worker',
  },
  allWorkers: 'all',
};

export const doubleRun = {
  title: 'Runs twice at the same time',
  mark: 'twice',
};
