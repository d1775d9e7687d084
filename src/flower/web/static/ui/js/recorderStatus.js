// The state of the recorder and recorded gaps as text.

import { age, clock } from './format/time.js';
import { T } from './strings.js';

/** Seconds for which a gap is reported after its end. */
const GAP_SHOWN_FOR = 86400;

/**
 * @param {any} status response of `GET /status`, or null
 * @param {number} now
 * @returns {{level: 'good' | 'warn' | 'bad', text: string}}
 */
export function recorderMessage(status, now = Date.now() / 1000) {
  const recorder = status?.recorder;
  switch (recorder?.state) {
    case 'recording':
      return {
        level: 'good',
        text: recorder.last_event_at == null ? T.recorder.noEvents : T.recorder.recording,
      };
    case 'disconnected':
      return { level: 'warn', text: T.recorder.unreachable(recorder.connection_error ?? '…') };
    case 'blocked':
      return { level: 'bad', text: T.recorder.blocked(recorder.error ?? '…') };
    case 'stopped':
      return { level: 'bad', text: T.recorder.stopped(age(recorder.reported_at, now)) };
    default:
      return { level: 'warn', text: T.recorder.none };
  }
}

/** The newest gap of the last day, in which events may be missing; '' if there is none. */
export function gapMessage(status, now = Date.now() / 1000) {
  const recent = (status?.gaps ?? []).filter(
    (gap) => gap.ended_at == null || now - gap.ended_at < GAP_SHOWN_FOR,
  );
  if (!recent.length) return '';
  const last = recent.reduce((a, b) => (b.started_at > a.started_at ? b : a));
  return T.recorder.gap(
    clock(last.started_at),
    last.ended_at == null ? T.time.now : clock(last.ended_at),
    last.reason,
  );
}
