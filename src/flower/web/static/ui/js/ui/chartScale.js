// Scales, ticks and SVG paths of charts over time. No element is created here.

/** Pixels around the plot: labels of the values at the left, of the times below. */
export const LEFT = 48;
export const RIGHT = 6;
export const TOP = 8;
/** Seconds between two ticks of the time axis; a longer interval is a number of days. */
const TIME_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400,
];
const DAY = 86400;
/** Width of a bar: its share of the bucket, and the maximum in pixels. */
const BAR_SHARE = 0.82;
const MAX_BAR = 18;

/** Cumulative sums of the series, for stacked charts; null where no series has a value. */
export function stackSeries(series) {
  let below = /** @type {(number | null)[]} */ ([]);
  return series.map((values) => {
    below = values.map((v, i) =>
      v == null && below[i] == null ? null : (v ?? 0) + (below[i] ?? 0),
    );
    return below;
  });
}

/** The indexes of the values between two unknown ones, through which no line can be drawn. */
export const isolatedIndexes = (values) =>
  values.flatMap((v, i) =>
    v != null && values[i - 1] == null && values[i + 1] == null ? [i] : [],
  );

/**
 * From the first time to the end of the last bucket, at least a second.
 * @param {number[]} times
 * @param {number} bucket
 * @returns {[number, number] | null}
 */
export const timeExtent = (times, bucket) =>
  times.length ? [times[0], Math.max(times[times.length - 1] + bucket, times[0] + 1)] : null;

/** Multiples of 1, 2 or 5 times a power of ten from 0 to `high`, at most `count` steps. */
export function linearTicks(high, count) {
  const rough = high / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
  return Array.from({ length: Math.floor(high / step) + 1 }, (_, i) =>
    Number((i * step).toPrecision(12)),
  );
}

/**
 * Times at full seconds, minutes, hours or days of the browser's zone, at most `count`.
 * @returns {{ticks: number[], step: number}} step: seconds
 */
export function timeTicks(from, to, count) {
  const rough = (to - from) / Math.max(1, count);
  const step = TIME_STEPS.find((each) => each >= rough) ?? Math.ceil(rough / DAY) * DAY;
  const zone = (at) => new Date(at * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  for (let at = Math.floor((from - zone(from)) / step) * step; ; at += step) {
    const tick = at + zone(at + zone(at));
    if (tick > to) return { ticks, step };
    if (tick >= from) ticks.push(tick);
  }
}

/**
 * The scale of the values.
 * @param {(number | null)[][]} series
 * @param {boolean} log
 * @param {number} count of ticks at most, on a linear scale
 * @returns {{share: (value: number) => number, ticks: number[]}} share: 0 at the bottom, 1 at the top
 */
export function valueScale(series, log, count) {
  const positive = series.flatMap((values) => values.map((v) => v ?? 0)).filter((v) => v > 0);
  const high = positive.reduce((a, b) => Math.max(a, b), 0);
  if (!log) {
    const top = high * 1.12 || 1;
    return { share: (v) => v / top, ticks: linearTicks(top, count) };
  }
  const low = positive.reduce((a, b) => Math.min(a, b), high || 1);
  const first = Math.floor(Math.log10(low));
  const last = Math.max(first + 1, Math.ceil(Math.log10(high || 1)));
  return {
    share: (v) => (v > 0 ? (Math.log10(v) - first) / (last - first) : 0),
    ticks: Array.from({ length: last - first + 1 }, (_, i) =>
      Number((10 ** (first + i)).toPrecision(1)),
    ),
  };
}

const px = (n) => Number(n.toFixed(1));

/**
 * A line through the values, interrupted where they are unknown, and the area below it.
 * @param {number[]} xs pixels
 * @param {(number | null)[]} ys pixels
 * @param {number} bottom pixels
 */
export function linePaths(xs, ys, bottom) {
  let [line, area] = ['', ''];
  for (let at = 0; at < ys.length; at += 1) {
    if (ys[at] == null) continue;
    const first = at;
    while (ys[at + 1] != null) at += 1;
    const points = [];
    for (let i = first; i <= at; i += 1) points.push(`${px(xs[i])} ${px(ys[i])}`);
    line += `M${points.join('L')}`;
    area += `M${px(xs[first])} ${bottom}L${points.join('L')}V${bottom}Z`;
  }
  return { line, area };
}

/**
 * A bar in the middle of the bucket of each value.
 * @param {number[]} xs start of each bucket in pixels
 * @param {(number | null)[]} ys pixels
 * @param {number} width of a bucket in pixels
 * @param {number} bottom pixels
 */
export function barPath(xs, ys, width, bottom) {
  const bar = Math.max(1, Math.min(width * BAR_SHARE, MAX_BAR));
  return ys
    .map((y, i) =>
      y == null || y >= bottom
        ? ''
        : `M${px(xs[i] + (width - bar) / 2)} ${bottom}V${px(y)}h${px(bar)}V${bottom}Z`,
    )
    .join('');
}

/**
 * The index of the bucket or value that the cursor shows: the bucket at this time, or the nearest value.
 * @param {number[]} times ascending, not empty
 * @param {number} at
 * @param {number} bucket seconds; 0 for single values
 */
export function indexAt(times, at, bucket) {
  let i = times.findLastIndex((each) => each <= at);
  if (i < 0) return 0;
  if (!bucket && i + 1 < times.length && times[i + 1] - at < at - times[i]) i += 1;
  return i;
}
