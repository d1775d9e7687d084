// Formats times (epoch seconds) in the browser's zone.
import * as T from '../strings.js';
import { MISSING, pad } from './numbers.js';

export const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';

/** Name of the zone at that time: `CET`, `GMT+1`. @param {number} epoch */
export function zoneName(epoch = Date.now() / 1000) {
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' }).formatToParts(
    new Date(epoch * 1000),
  );
  return parts.find((each) => each.type === 'timeZoneName')?.value ?? '';
}

const local = (epoch) => new Date(epoch * 1000);
/** @param {number | null | undefined} epoch @returns {epoch is number} */
const isValid = (epoch) => epoch != null && Number.isFinite(epoch) && Math.abs(epoch) < 8.64e12;

/**
 * `14:32:07` or `14:32:07.965`.
 * @param {number | null | undefined} epoch
 * @param {boolean} precise
 */
export function clock(epoch, precise = false) {
  if (!isValid(epoch)) return MISSING;
  const d = local(epoch);
  const text = `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return precise ? `${text}.${String(d.getMilliseconds()).padStart(3, '0')}` : text;
}

/** `2026-11-22`. @param {number | null | undefined} epoch */
export function day(epoch) {
  if (!isValid(epoch)) return MISSING;
  const d = local(epoch);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

/** `11-22`, with the year unless it is the current one. @param {number} epoch */
export function shortDay(epoch) {
  const text = day(epoch);
  return text.slice(0, 4) === day(Date.now() / 1000).slice(0, 4) ? text.slice(5) : text;
}

export const isToday = (epoch) => day(epoch) === day(Date.now() / 1000);

/**
 * The clock time, with the day unless it is today.
 * @param {number | null | undefined} epoch
 * @param {boolean} precise
 */
export function moment(epoch, precise = false) {
  if (!isValid(epoch)) return MISSING;
  return isToday(epoch) ? clock(epoch, precise) : `${day(epoch)} ${clock(epoch, precise)}`;
}

/** Day, clock time and zone. @param {number | null | undefined} epoch */
export const full = (epoch) =>
  isValid(epoch) ? `${day(epoch)} ${clock(epoch, true)} ${zoneName(epoch)}` : MISSING;

/** UTC in ISO 8601. @param {number | null | undefined} epoch */
export const utc = (epoch) => (isValid(epoch) ? local(epoch).toISOString() : '');

/** `5 s ago`, `in 2 h`. @param {number | null | undefined} epoch @param {number} now */
export function age(epoch, now = Date.now() / 1000) {
  if (!isValid(epoch)) return MISSING;
  const distance = now - epoch;
  const text = span(Math.abs(distance));
  return Math.abs(distance) < 1 ? T.time.now : distance > 0 ? T.time.ago(text) : T.time.ahead(text);
}

/** A duration in one unit: `5 s`, `12 min`, `3 h`, `4 d`. @param {number} seconds */
export function span(seconds) {
  for (const [size, unit] of /** @type {[number, string][]} */ ([
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min'],
  ])) {
    if (seconds >= 2 * size) return `${Math.round(seconds / size)}\u202f${unit}`;
  }
  return `${Math.round(seconds)}\u202fs`;
}

/** Tooltip of a time: UTC and age. @param {number | null | undefined} epoch */
export const hover = (epoch) => (isValid(epoch) ? `${utc(epoch)} · ${age(epoch)}` : '');
