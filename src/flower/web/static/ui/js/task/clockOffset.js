// Times of a task by the clock of the recorder: clocks of workers and senders can differ from it by
// hours. The measured offsets are subtracted; the API returns the raw values.

const TIMES = [
  'received_at',
  'started_at',
  'succeeded_at',
  'failed_at',
  'retried_at',
  'revoked_at',
  'rejected_at',
];

const shift = (object, names, offset) =>
  offset
    ? Object.fromEntries(
        names.filter((name) => object[name] != null).map((name) => [name, object[name] - offset]),
      )
    : {};

/**
 * A copy of a task whose times are corrected.
 * @param {any} task as `GET /tasks/{uuid}` has it
 */
export function correctTimes(task) {
  const offset = task.clock_offset ?? 0;
  const isOnlySent = task.received_at == null && task.last_event_at === task.sent_at;
  return {
    ...task,
    ...shift(task, TIMES, offset),
    ...shift(task, ['sent_at'], task.client_offset ?? 0),
    ...shift(task, ['last_event_at'], isOnlySent ? (task.client_offset ?? 0) : offset),
    attempts: (task.attempts ?? []).map((each) => ({
      ...each,
      ...shift(each, ['received_at', 'started_at', 'ended_at'], each.clock_offset ?? 0),
    })),
  };
}

/**
 * The clocks that differ: `[name, seconds ahead]`, the name '' for the sender without a name.
 * @param {any} task
 * @returns {[string, number][]}
 */
export function findOffsets(task) {
  const found = new Map();
  if (task.client_offset) found.set(task.client ?? '', task.client_offset);
  for (const each of task.attempts ?? [])
    if (each.clock_offset) found.set(each.worker ?? '', each.clock_offset);
  if (task.clock_offset) found.set(task.worker ?? '', task.clock_offset);
  return [...found];
}
