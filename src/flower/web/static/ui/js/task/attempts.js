// Attempts and events of a task in order of time.

/**
 * @typedef {{kind: 'wait' | 'back' | 'run' | 'fail' | 'lost', from: number, to: number, open:
 *   boolean}} Piece
 * @typedef {{number: number, pid: number | null, worker: string | null, state: string | null, lost:
 *   string | null, isRedelivered: boolean, pieces: Piece[], end: number, ran: number | null}} Lane
 */

const FINAL = new Set(['SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED']);

const runOf = (attempt) => attempt.run ?? 0;

/**
 * The attempts of the current run, with numbers from 1 in `ordinal`, and those of earlier runs of the
 * same id, oldest first.
 * @param {any} task
 * @returns {{current: any[], earlier: any[][]}}
 */
export function splitRuns(task) {
  const runs = new Map();
  for (const attempt of task.attempts ?? []) {
    const run = runs.get(runOf(attempt)) ?? [];
    run.push({ ...attempt, ordinal: run.length + 1 });
    runs.set(runOf(attempt), run);
  }
  const all = [...runs].sort((a, b) => a[0] - b[0]).map(([, attempts]) => attempts);
  return { current: all.pop() ?? [], earlier: all };
}

/** Whether the attempt is executed now, as far as is known. */
const isActive = (attempt) => attempt.started_at != null && !attempt.state && !attempt.lost;

/** Whether an attempt started before an earlier one had ended. */
const doOverlap = (first, second) =>
  first.started_at != null &&
  second.started_at != null &&
  !first.lost &&
  first.state !== 'RETRY' &&
  (first.ended_at == null ? !first.state : second.started_at < first.ended_at);

/**
 * The attempts of the current run that were executed at the same time, and whether they still are.
 * @param {any} task
 * @returns {{attempts: any[], isNow: boolean}}
 */
export function findDoubleRun(task) {
  const { current } = splitRuns(task);
  const attempts = current.filter((each, i) =>
    current.some((other, k) => (k < i ? doOverlap(other, each) : k > i && doOverlap(each, other))),
  );
  return { attempts, isNow: attempts.filter(isActive).length > 1 };
}

/** Whether a message that a worker had was delivered again before the attempt ended. */
const isRedelivered = (attempts, i) =>
  i > 0 && attempts[i - 1].state !== 'RETRY' && attempts[i].received_at != null;

/**
 * @param {any} task as `GET /tasks/{uuid}` has it
 * @param {number} now epoch seconds
 * @param {any[] | null} earlierRun the attempts of an earlier run; null: those of the current run
 * @returns {{start: number, end: number, lanes: Lane[]} | null} null: no event has a time
 */
export function buildTimeline(task, now = Date.now() / 1000, earlierRun = null) {
  const lanes = [];
  let before = earlierRun ? null : (task.sent_at ?? null);
  const recorded = earlierRun ?? splitRuns(task).current;
  const attempts = recorded.length
    ? recorded
    : [
        {
          number: 0,
          ordinal: 1,
          worker: task.worker,
          received_at: task.received_at,
          started_at: task.started_at,
          ended_at: null,
          state: null,
        },
      ];
  const double = new Set(
    earlierRun
      ? []
      : findDoubleRun(task)
          .attempts.filter(isActive)
          .map((each) => each.ordinal),
  );
  attempts.forEach((attempt, i) => {
    const last = !earlierRun && i === attempts.length - 1;
    const end = double.has(attempt.ordinal)
      ? null
      : (attempt.ended_at ??
        (last && FINAL.has(task.state) ? task.last_event_at : null) ??
        attempts[i + 1]?.received_at ??
        (last && task.lost ? task.lost.since_at : null) ??
        (earlierRun ? attempt.started_at : null) ??
        null);
    const lost = attempt.lost ?? (last ? (task.lost?.detail ?? null) : null);
    const redelivered = isRedelivered(attempts, i);
    const from =
      i === 0
        ? (before ?? attempt.received_at ?? attempt.started_at)
        : redelivered
          ? attempt.received_at
          : (before ?? attempt.received_at);
    const waitEnd = attempt.started_at ?? end ?? now;
    const pieces = [];
    if (
      from != null &&
      waitEnd >= from &&
      !(attempt.started_at == null && end != null && i > 0 && from === end)
    ) {
      pieces.push({
        kind: i && !redelivered ? 'back' : 'wait',
        from,
        to: waitEnd,
        open: attempt.started_at == null && end == null,
      });
    }
    if (attempt.started_at != null) {
      pieces.push({
        kind: lost && !attempt.state ? 'lost' : attempt.state === 'FAILURE' ? 'fail' : 'run',
        from: attempt.started_at,
        to: Math.max(attempt.started_at, end ?? now),
        open: end == null,
      });
    }
    const laneEnd = pieces.length ? pieces[pieces.length - 1].to : (end ?? from ?? now);
    lanes.push({
      number: attempt.ordinal,
      pid: attempt.pid ?? null,
      worker: attempt.worker ?? null,
      state: attempt.state ?? (last && !lost && FINAL.has(task.state) ? task.state : null),
      lost: attempt.state ? null : lost,
      isRedelivered: redelivered,
      pieces,
      end: laneEnd,
      ran:
        attempt.runtime ??
        (attempt.started_at != null && end != null && !lost ? end - attempt.started_at : null),
    });
    before = attempt.ended_at ?? before;
  });
  const times = lanes.flatMap((lane) => lane.pieces.flatMap((piece) => [piece.from, piece.to]));
  if (!times.length) return null;
  return { start: Math.min(...times), end: Math.max(...times), lanes };
}

const END_EVENTS = { RETRY: 'retried', FAILURE: 'failed', SUCCESS: 'succeeded' };

/**
 * The events of a task in causal order: an event does not precede the one that caused it, also if the
 * clocks of two machines differ.
 * @param {any} task
 * @returns {{at: number, type: string, note: string, early: number}[]} early: seconds by which the time
 *   is before that of its cause
 */
export function listEvents(task) {
  const out =
    /** @type {{at: number, key: number, type: string, note: string, early: number}[]} */ ([]);
  /** Adds an event that another one, at the time `cause`, precedes; returns the key for the next one. */
  const add = (at, cause, type, note) => {
    if (at == null) return cause;
    const key = Math.max(at, cause);
    out.push({ at, key, type, note, early: key - at });
    return key;
  };
  const sent = add(task.sent_at, -Infinity, 'sent', task.client ?? '');
  (task.attempts ?? []).forEach((each, i) => {
    const isFirst = i === 0 && runOf(each) === runOf(task.attempts[task.attempts.length - 1]);
    const received = add(
      each.received_at,
      isFirst ? sent : -Infinity,
      'received',
      each.worker ?? '',
    );
    const started = add(
      each.started_at,
      received,
      'started',
      each.pid == null ? '' : String(each.pid),
    );
    if (each.state)
      add(
        each.ended_at,
        started,
        END_EVENTS[each.state] ?? each.state.toLowerCase(),
        (each.exception ?? '').split('(')[0],
      );
    else if (each.lost) add(each.ended_at, started, 'lost', each.lost);
  });
  for (const type of ['revoked', 'rejected']) {
    const at = task[`${type}_at`];
    if (at != null && !out.some((each) => each.type === type)) add(at, -Infinity, type, '');
  }
  return out.sort((a, b) => a.key - b.key);
}
