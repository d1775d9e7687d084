// Formats numbers: 1,234 then 12.3 k then 2.48 M; durations in µs, ms, s, `m s`. Units follow a narrow
// space.
const THIN = '\u202f';
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

export const MISSING = '–';

/** @param {number | null | undefined} n */
export const int = (n) => (n == null ? MISSING : whole.format(n));

/** @param {number | null | undefined} n */
export function compact(n) {
  if (n == null) return MISSING;
  const magnitude = Math.abs(n);
  if (magnitude < 1e4) return Number.isInteger(n) ? int(n) : trim(n);
  if (magnitude < 1e6) return `${(n / 1e3).toFixed(magnitude < 1e5 ? 1 : 0)}${THIN}k`;
  if (magnitude < 1e9)
    return `${(n / 1e6).toFixed(magnitude < 1e7 ? 2 : magnitude < 1e8 ? 1 : 0)}${THIN}M`;
  return `${(n / 1e9).toFixed(2)}${THIN}G`;
}

const trim = (n) =>
  Math.abs(n) < 10 ? n.toFixed(2) : Math.abs(n) < 100 ? n.toFixed(1) : whole.format(n);

/** A duration in seconds. @param {number | null | undefined} s */
export function duration(s) {
  if (s == null || !Number.isFinite(s)) return MISSING;
  if (s < 0) return `−${duration(-s)}`;
  if (s === 0) return `0${THIN}s`;
  if (s < 0.001) return `${Math.round(s * 1e6)}${THIN}µs`;
  if (s < 0.9995) return `${Math.round(s * 1e3)}${THIN}ms`;
  if (s < 59.95) return `${s.toFixed(s < 9.995 ? 2 : 1)}${THIN}s`;
  const all = Math.round(s);
  if (all < 3600) return `${Math.floor(all / 60)}${THIN}m ${pad(all % 60)}${THIN}s`;
  if (all < 86400)
    return `${Math.floor(all / 3600)}${THIN}h ${pad(Math.floor((all % 3600) / 60))}${THIN}m`;
  return `${Math.floor(all / 86400)}${THIN}d ${Math.floor((all % 86400) / 3600)}${THIN}h`;
}

/** @param {number} n 0..1 */
export const percent = (n) =>
  n == null
    ? MISSING
    : n === 0
      ? '0%'
      : n < 0.001
        ? '<0.1%'
        : `${(n * 100).toFixed(n < 0.1 ? 1 : 0)}%`;

/** @param {number | null | undefined} n per second */
export const rate = (n) => (n == null ? MISSING : `${compact(n)}${THIN}/s`);

/** @param {number | null | undefined} n */
export function bytes(n) {
  if (n == null) return MISSING;
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) {
    n /= 1000;
    unit += 1;
  }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)}${THIN}${units[unit]}`;
}

/** @param {number} n */
export const pad = (n) => String(n).padStart(2, '0');

/** `1 task`, `2 tasks`. @param {number} n @param {string} one @param {string} many */
export const plural = (n, one, many = `${one}s`) => `${int(n)} ${n === 1 ? one : many}`;
