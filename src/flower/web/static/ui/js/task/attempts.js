// Attempts and events of a task in order of time.

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
 * @returns {{start: number, end: number, lanes: Lane[]} | null} null: no event has a time
 */
export function buildTimeline(task, now = Date.now() / 1000) {
  const lanes = [];
  let before = task.sent_at ?? null;
  const attempts = task.attempts?.length
    ? task.attempts
    : [
        {
          number: 0,
          worker: task.worker,
          received_at: task.received_at,
          started_at: task.started_at,
          ended_at: null,
          state: null,
        },
      ];
  attempts.forEach((attempt, i) => {
    const last = i === attempts.length - 1;
    const end =
      attempt.ended_at ??
      (last && FINAL.has(task.state) ? task.last_event_at : null) ??
      attempts[i + 1]?.received_at ??
      null;
    const from =
      i === 0
        ? (before ?? attempt.received_at ?? attempt.started_at)
        : (before ?? attempt.received_at);
    const waitEnd = attempt.started_at ?? end ?? now;
    const pieces = [];
    if (
      from != null &&
      waitEnd >= from &&
      !(attempt.started_at == null && end != null && i > 0 && from === end)
    ) {
      pieces.push({
        kind: i ? 'back' : 'wait',
        from,
        to: waitEnd,
        open: attempt.started_at == null && end == null,
      });
    }
    if (attempt.started_at != null) {
      pieces.push({
        kind: attempt.state === 'FAILURE' ? 'fail' : 'run',
        from: attempt.started_at,
        to: Math.max(attempt.started_at, end ?? now),
        open: end == null,
      });
    }
    const laneEnd = pieces.length ? pieces[pieces.length - 1].to : (end ?? from ?? now);
    lanes.push({
      number: attempt.number ?? i,
      pid: attempt.pid ?? null,
      worker: attempt.worker ?? null,
      state: attempt.state ?? (last && FINAL.has(task.state) ? task.state : null),
      pieces,
      end: laneEnd,
      ran:
        attempt.runtime ??
        (attempt.started_at != null && end != null ? end - attempt.started_at : null),
    });
    before = attempt.ended_at ?? before;
  });
  const times = lanes.flatMap((lane) => lane.pieces.flatMap((piece) => [piece.from, piece.to]));
  if (!times.length) return null;
  return { start: Math.min(...times), end: Math.max(...times), lanes };
}

/**
 * The events of a task in order of time: `[time, type, note]`.
 * @param {any} task
 * @returns {[number, string, string][]}
 */
export function listEvents(task) {
  const out = [];
  if (task.sent_at != null) out.push([task.sent_at, 'sent', task.client ?? '']);
  for (const each of task.attempts ?? []) {
    if (each.received_at != null) out.push([each.received_at, 'received', each.worker ?? '']);
    if (each.started_at != null)
      out.push([each.started_at, 'started', each.pid == null ? '' : String(each.pid)]);
    if (each.ended_at != null && each.state)
      out.push([
        each.ended_at,
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
  for (const type of ['revoked', 'rejected']) {
    const at = task[`${type}_at`];
    if (at != null && !out.some((each) => each[1] === type)) out.push([at, type, '']);
  }
  return /** @type {any} */ (out.sort((a, b) => a[0] - b[0]));
}
