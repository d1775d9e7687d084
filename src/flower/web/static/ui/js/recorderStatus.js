// The state of the recorder as text, and since when the records are not current.

import { age, moment } from './format/time.js';
import { computed } from './lib.js';
import { status } from './liveStream.js';
import * as T from './strings.js';

/**
 * Since when the records are not current, and why; null if they are.
 * @type {{value: {since: number, kind: string, text: string} | null}}
 */
export const interruption = computed(() => {
  const recorder = status.value?.recorder;
  if (!recorder?.interruption || recorder.current_at == null) return null;
  const since = recorder.current_at;
  const kind = recorder.state === 'recording' ? 'behind' : recorder.state;
  const describe = T.stale.since[kind] ?? T.stale.since.behind;
  return { since, kind, text: describe(moment(since), recorder.interruption) };
});

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
