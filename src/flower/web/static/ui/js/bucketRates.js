// Rates per second of time buckets, of which the first and last may be cut by the requested range.

/** Minimum seconds of an incomplete bucket; rates of shorter ones fluctuate. */
const MIN_SECONDS = 2;

/**
 * @param {number[]} times start of each bucket
 * @param {number[]} counts
 * @param {number} width seconds of a bucket
 * @param {{start?: number, end?: number}} range what the counts refer to, epoch seconds
 * @returns {(number | null)[]} null for a bucket of which too little is in the range, unless all are such
 */
export function bucketRates(times, counts, width, { start = -Infinity, end = Infinity }) {
  const minimum = Math.min(MIN_SECONDS, width / 2);
  const seconds = times.map((at) => Math.min(at + width, end) - Math.max(at, start));
  const isKnown = seconds.some((each) => each >= minimum);
  return counts.map((n, i) =>
    seconds[i] >= minimum ? n / seconds[i] : isKnown ? null : n / minimum,
  );
}

/**
 * The response of `GET /histogram` as tasks per second by the start of each bucket, until `now`.
 * @param {{span: any, states: Record<string, number[]>}} response
 * @param {number} [now] epoch seconds
 * @returns {Map<number, number | null>}
 */
export function histogramRates({ span, states }, now = Date.now() / 1000) {
  const columns = Object.values(states);
  if (!span || !columns.length) return new Map();
  const times = Array.from({ length: span.buckets }, (_, i) => span.start_at + i * span.width);
  const counts = times.map((_, i) => columns.reduce((sum, each) => sum + (each[i] ?? 0), 0));
  const rates = bucketRates(times, counts, span.width, { end: now });
  return new Map(times.map((at, i) => [at, rates[i]]));
}
