// Statistics over time from the response of `GET /stats?group_by=time`.

import { bucketRates } from '../bucketRates.js';

/**
 * @typedef {{times: number[], width: number, ok: (number | null)[], retry: (number | null)[],
 *   failed: (number | null)[], done: (number | null)[], errors: (number | null)[], p50: (number |
 *   null)[], p95: (number | null)[], p99: (number | null)[], wait: (number | null)[]}} Series
 * rates per second, of tasks and of retries, at the time of the task; null: unknown
 */

/**
 * @param {any} response
 * @param {{start?: number, end?: number}} range what the response refers to; without `start` for a store that
 *   begins later
 * @returns {Series}
 */
export function buildSeries(response, range) {
  const width = response.span?.width ?? 1;
  const { groups } = response;
  const of = (pick) => groups.map(pick);
  const times = of((each) => each.group);
  const rates = (pick) => bucketRates(times, of(pick), width, range);
  const states = (each, ...names) => names.reduce((sum, name) => sum + (each.states[name] ?? 0), 0);
  return {
    times,
    width,
    ok: rates((each) => states(each, 'SUCCESS')),
    retry: rates((each) => each.retries),
    failed: rates((each) => states(each, 'FAILURE')),
    done: rates((each) => states(each, 'SUCCESS', 'FAILURE')),
    errors: of((each) => each.failure_rate),
    p50: of((each) => each.runtime.p50 || null),
    p95: of((each) => each.runtime.p95 || null),
    p99: of((each) => each.runtime.p99 || null),
    wait: of((each) => each.wait.p95),
  };
}

/**
 * The time range of the figures: the last `length` seconds, or since the oldest recorded task.
 * @param {number} length
 * @param {number | null} first time of the oldest task
 * @param {number} now epoch seconds
 */
export function timeBounds(length, first, now) {
  const isComplete = first == null || first <= now - length;
  // parameters have milliseconds: rounded up, the range would exclude the oldest task
  const start = isComplete ? now - length : Math.floor(first);
  return {
    now,
    start,
    isComplete,
    seconds: Math.max(5, now - start),
    compare: first != null && first <= now - 1.5 * length,
  };
}

/** The last value that is not null. @param {(number | null)[]} values */
export const lastKnown = (values) => {
  for (let at = values.length - 1; at >= 0; at -= 1) if (values[at] != null) return values[at];
  return null;
};

/**
 * Replaces unknown values by the previous one.
 * @param {(number | null)[]} values
 * @returns {number[]}
 */
export function carryForward(values) {
  let last = values.find((each) => each != null) ?? 0;
  return values.map((each) => {
    last = each ?? last;
    return last;
  });
}

/**
 * Sums of several series of buckets of the same width.
 * @param {{start_at: number, ready_avg: number | null}[][]} all
 * @returns {number[]}
 */
export function sumSeries(all) {
  const sums = new Map();
  for (const buckets of all)
    for (const { start_at: at, ready_avg: ready } of buckets)
      if (ready != null) sums.set(at, (sums.get(at) ?? 0) + ready);
  return [...sums].sort((a, b) => a[0] - b[0]).map(([, n]) => n);
}
