// Recorded gaps: intervals in which events may have been missed, and what they affect.

import { moment } from './format/time.js';
import { computed } from './lib.js';
import { status } from './liveStream.js';
import * as T from './strings.js';

/**
 * @typedef {{id: string | null, from: number, to: number, isOpen: boolean, reason: string, cause:
 *   string, worker: string | null}} Gap
 * from, to: epoch seconds, `to` is Infinity while the gap lasts; worker: only events of this worker
 * are affected
 */

/** Causes for which the depth of queues is not sampled either. */
const UNSAMPLED = new Set([
  'recorder_stopped',
  'recorder_crashed',
  'broker_unreachable',
  'unknown',
]);

/** @param {any} row of `GET /gaps` or of the status @returns {Gap} */
export const readGap = (row) => ({
  id: row.id ?? null,
  from: row.started_at,
  to: row.ended_at ?? Infinity,
  isOpen: row.ended_at == null,
  reason: row.reason ?? '',
  cause: row.cause ?? 'unknown',
  worker: row.worker ?? null,
});

let known = { key: '[]', gaps: /** @type {Gap[]} */ ([]) };

/** The gaps that no user dismissed, oldest first; the same array while nothing changes. */
export const gaps = /** @type {{value: Gap[]}} */ (
  computed(() => {
    const rows = (status.value?.gaps ?? []).filter((row) => row.dismissed_at == null);
    const key = JSON.stringify(rows);
    if (key !== known.key) known = { key, gaps: rows.map(readGap).sort((a, b) => a.from - b.from) };
    return known.gaps;
  })
);

/**
 * The gaps that overlap an interval.
 * @param {Gap[]} all
 * @param {number} from
 * @param {number} to
 * @param {string | null} [worker] leave out the gaps of other workers
 */
export const findGaps = (all, from, to, worker = undefined) =>
  all.filter(
    (gap) =>
      gap.from <= to &&
      gap.to >= from &&
      (worker === undefined || gap.worker === null || gap.worker === worker),
  );

/**
 * The gaps in the life of a task: from its first event to its end, or until now.
 * @param {Gap[]} all
 * @param {any} task
 * @param {boolean} isFinished
 */
export function findTaskGaps(all, task, isFinished) {
  const from = task.sent_at ?? task.received_at ?? task.started_at ?? task.last_event_at;
  if (from == null) return [];
  const to = isFinished ? Math.max(task.last_event_at ?? from, from) : Infinity;
  return findGaps(all, from, to, task.worker ?? null);
}

/** Whether the depth of queues is unknown in this gap. @param {Gap} gap */
export const isUnsampled = (gap) => UNSAMPLED.has(gap.cause);

/** The interval as text. @param {Gap} gap */
export const gapInterval = (gap) =>
  T.gaps.interval(moment(gap.from), gap.isOpen ? T.time.now : moment(gap.to));

/** The interval, the reason and the worker as text. @param {Gap} gap */
export const gapText = (gap) =>
  [gapInterval(gap), gap.reason, gap.worker && T.gaps.onlyWorker(gap.worker)]
    .filter(Boolean)
    .join(': ');

/**
 * A copy of a series in which zeros within a gap are null: there nothing was recorded, which is not 0.
 * @param {Gap[]} all
 * @param {number[]} times starts of the buckets
 * @param {number} width seconds
 * @param {(number | null)[]} values
 */
export const clearGaps = (all, times, width, values) =>
  values.map((value, i) =>
    value === 0 &&
    all.some((gap) => !gap.worker && gap.from < times[i] + width && gap.to > times[i])
      ? null
      : value,
  );

/**
 * For each row of a list in order of time, the gaps between it and the row before.
 * @param {Gap[]} all
 * @param {(number | null | undefined)[]} times of consecutive rows; the first is that of the row before,
 *   null at the start of the list
 * @param {boolean} isDescending newest first
 * @returns {Gap[][]} one entry per time except the first
 */
export function separateRows(all, times, isDescending) {
  return times.slice(1).map((time, i) => {
    const before = times[i];
    if (time == null) return [];
    return all.filter((gap) => {
      // A gap stands where its start is, so that it is shown once.
      const at = gap.from;
      return isDescending
        ? at >= time && (before == null || at < before)
        : at <= time && before != null && at > before;
    });
  });
}
