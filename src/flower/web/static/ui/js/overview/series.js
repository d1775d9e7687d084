// Figures over time from the answer of `GET /stats?by=time`. DOM-less, so that it can be tested on
// its own.

/**
 * @typedef {{times: number[], width: number, ok: (number | null)[], retry: (number | null)[],
 *   failed: (number | null)[], done: (number | null)[], errors: (number | null)[], p50: (number |
 *   null)[], p95: (number | null)[], p99: (number | null)[], wait: (number | null)[]}} Series rates
 *   are a second; null: not known
 */

/** Seconds of a stretch that is not over; shorter ones would jump about. */
const MIN_BUCKET = 2;

/** How much of a stretch lies within what was asked for: the first and the last are cut. */
const overlap = (at, width, start, end) => Math.min(at + width, end) - Math.max(at, start);

/**
 * @param {any} told answer of the API
 * @param {number} start epoch from which figures were asked
 * @param {number} now epoch
 * @returns {Series}
 */
export function buildSeries(told, start, now) {
  const width = told.span?.width ?? 1;
  const groups = told.groups.filter(
    (each) => overlap(each.group, width, start, now) >= Math.min(MIN_BUCKET, width / 2),
  );
  const rate = (each, n) => n / overlap(each.group, width, start, now);
  const of = (pick) => groups.map(pick);
  const states = (each, ...names) => names.reduce((sum, name) => sum + (each.states[name] ?? 0), 0);
  return {
    times: of((each) => each.group),
    width,
    ok: of((each) => rate(each, states(each, 'SUCCESS'))),
    retry: of((each) => rate(each, states(each, 'RETRY'))),
    failed: of((each) => rate(each, states(each, 'FAILURE'))),
    done: of((each) => rate(each, states(each, 'SUCCESS', 'FAILURE'))),
    errors: of((each) => each.failure_rate),
    p50: of((each) => each.runtime.p50 || null),
    p95: of((each) => each.runtime.p95 || null),
    p99: of((each) => each.runtime.p99 || null),
    wait: of((each) => each.wait.p95),
  };
}

/** The newest that is known. @param {(number | null)[]} values */
export const lastKnown = (values) => {
  for (let at = values.length - 1; at >= 0; at -= 1) if (values[at] != null) return values[at];
  return null;
};

/**
 * For a spark: what is not known is as before.
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
 * Sums of several series of the same stretches, which may begin at other times.
 * @param {{at: number, ready: number | null}[][]} all
 * @returns {number[]}
 */
export function sumSeries(all) {
  const sums = new Map();
  for (const stretches of all)
    for (const { at, ready } of stretches)
      if (ready != null) sums.set(at, (sums.get(at) ?? 0) + ready);
  return [...sums].sort((a, b) => a[0] - b[0]).map(([, n]) => n);
}
