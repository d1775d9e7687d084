// How the recorder is, in a sentence. Pages show what was recorded, and say so when nothing is.

import { age, clock } from './format/time.js';
import { T } from './strings.js';

/** Seconds after which a recorder that says nothing has stopped or hangs. */
const RECORDER_TIMEOUT = 15;
/** A gap is worth a word for a day. */
const GAP_SHOWN_FOR = 86400;

/**
 * @param {any} status as `GET /status` has it
 * @param {number} now
 * @returns {{level: 'good' | 'warn' | 'bad', text: string}}
 */
export function recorderMessage(status, now = Date.now() / 1000) {
  const said = status?.recorder;
  if (!said || said.at == null) return { level: 'warn', text: T.recorder.none };
  if (said.running === false || now - said.at > RECORDER_TIMEOUT)
    return { level: 'bad', text: T.recorder.silent(age(said.at, now)) };
  if (said.trouble) return { level: 'bad', text: T.recorder.trouble(said.trouble) };
  if (said.connected === false)
    return { level: 'warn', text: T.recorder.away(said.last_error ?? '…') };
  if (said.last_event == null) return { level: 'good', text: T.recorder.quiet };
  return { level: 'good', text: T.recorder.recording };
}

/**
 * The newest stretch of the last day in which events may be missing, as a sentence; '' if there is
 * none.
 */
export function gapMessage(status, now = Date.now() / 1000) {
  const recent = (status?.gaps ?? []).filter(
    (gap) => gap.end == null || now - gap.end < GAP_SHOWN_FOR,
  );
  if (!recent.length) return '';
  const last = recent.reduce((a, b) => (b.start > a.start ? b : a));
  return T.recorder.gap(
    clock(last.start),
    last.end == null ? T.time.now : clock(last.end),
    last.reason,
  );
}
