// What a task did when, as lanes: waiting, back-off, running. DOM-less, so that it can be tested on
// its own.

/**
 * @typedef {{kind: 'wait' | 'back' | 'run' | 'fail', from: number, to: number, open: boolean}}
 *   Piece
 * @typedef {{number: number, pid: number | null, worker: string | null, state: string | null,
 *   pieces: Piece[], end: number, ran: number | null}} Lane
 */

const FINAL = new Set(['SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED']);

/**
 * @param {any} task as `GET /tasks/{uuid}` has it
 * @param {number} now epoch seconds
 * @returns {{start: number, end: number, lanes: Lane[]} | null} null: no event told a time
 */
export function buildTimeline(task, now = Date.now() / 1000) {
  const lanes = [];
  let before = task.sent ?? null;
  const attempts = task.attempts?.length
    ? task.attempts
    : [
        {
          number: 0,
          hostname: task.worker,
          received: task.received,
          started: task.started,
          ended: null,
          state: null,
        },
      ];
  attempts.forEach((attempt, i) => {
    const last = i === attempts.length - 1;
    const over =
      attempt.ended ??
      (last && FINAL.has(task.state) ? task.timestamp : null) ??
      attempts[i + 1]?.received ??
      null;
    const from =
      i === 0 ? (before ?? attempt.received ?? attempt.started) : (before ?? attempt.received);
    const waitedTo = attempt.started ?? over ?? now;
    const pieces = [];
    if (
      from != null &&
      waitedTo >= from &&
      !(attempt.started == null && over != null && i > 0 && from === over)
    ) {
      pieces.push({
        kind: i ? 'back' : 'wait',
        from,
        to: waitedTo,
        open: attempt.started == null && over == null,
      });
    }
    if (attempt.started != null) {
      pieces.push({
        kind: attempt.state === 'FAILURE' ? 'fail' : 'run',
        from: attempt.started,
        to: Math.max(attempt.started, over ?? now),
        open: over == null,
      });
    }
    const end = pieces.length ? pieces[pieces.length - 1].to : (over ?? from ?? now);
    lanes.push({
      number: attempt.number ?? i,
      pid: attempt.pid ?? null,
      worker: attempt.hostname ?? null,
      state: attempt.state ?? (last && FINAL.has(task.state) ? task.state : null),
      pieces,
      end,
      ran:
        attempt.runtime ??
        (attempt.started != null && over != null ? over - attempt.started : null),
    });
    before = attempt.ended ?? before;
  });
  const times = lanes.flatMap((lane) => lane.pieces.flatMap((piece) => [piece.from, piece.to]));
  if (!times.length) return null;
  return { start: Math.min(...times), end: Math.max(...times), lanes };
}

/**
 * The events of a task in the order of their times: `[time, word, note]`.
 * @param {any} task
 * @returns {[number, string, string][]}
 */
export function listEvents(task) {
  const out = [];
  if (task.sent != null) out.push([task.sent, 'sent', task.client ?? '']);
  for (const each of task.attempts ?? []) {
    if (each.received != null) out.push([each.received, 'received', each.hostname ?? '']);
    if (each.started != null)
      out.push([each.started, 'started', each.pid == null ? '' : String(each.pid)]);
    if (each.ended != null && each.state)
      out.push([
        each.ended,
        each.state === 'RETRY'
          ? 'retried'
          : each.state === 'FAILURE'
            ? 'failed'
            : each.state === 'SUCCESS'
              ? 'succeeded'
              : each.state.toLowerCase(),
        (each.exception ?? '').split('(')[0],
      ]);
  }
  for (const word of ['revoked', 'rejected'])
    if (task[word] != null && !out.some((each) => each[1] === word))
      out.push([task[word], word, '']);
  return /** @type {any} */ (out.sort((a, b) => a[0] - b[0]));
}
