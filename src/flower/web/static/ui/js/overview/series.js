// Statistics over time from the response of `GET /stats?group_by=time`.

/**
 * @typedef {{times: number[], width: number, ok: (number | null)[], retry: (number | null)[],
 *   failed: (number | null)[], done: (number | null)[], errors: (number | null)[], p50: (number |
 *   null)[], p95: (number | null)[], p99: (number | null)[], wait: (number | null)[]}} Series
 * rates per second, of tasks and of retries, at the time of the task; null: unknown
 */

/** Minimum seconds of an incomplete bucket; rates of shorter ones fluctuate. */
const MIN_BUCKET = 2;

/** Seconds of a bucket within the requested range: the first and last bucket may be cut. */
const overlap = (at, width, start, end) => Math.min(at + width, end) - Math.max(at, start);

/**
 * @param {any} response
 * @param {number} start start of the requested range, epoch seconds
 * @param {number} now epoch seconds
 * @returns {Series}
 */
export function buildSeries(response, start, now) {
  const width = response.span?.width ?? 1;
  const groups = response.groups.filter(
    (each) => overlap(each.group, width, start, now) >= Math.min(MIN_BUCKET, width / 2),
  );
  const rate = (each, n) => n / overlap(each.group, width, start, now);
  const of = (pick) => groups.map(pick);
  const states = (each, ...names) => names.reduce((sum, name) => sum + (each.states[name] ?? 0), 0);
  return {
    times: of((each) => each.group),
    width,
    ok: of((each) => rate(each, states(each, 'SUCCESS'))),
    retry: of((each) => rate(each, each.retries)),
    failed: of((each) => rate(each, states(each, 'FAILURE'))),
    done: of((each) => rate(each, states(each, 'SUCCESS', 'FAILURE'))),
    errors: of((each) => each.failure_rate),
    p50: of((each) => each.runtime.p50 || null),
    p95: of((each) => each.runtime.p95 || null),
    p99: of((each) => each.runtime.p99 || null),
    wait: of((each) => each.wait.p95),
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
