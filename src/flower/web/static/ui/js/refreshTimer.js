// When a page that shows figures reads them again: as things happen, so that it is never two
// seconds behind; not oftener than the server can bear; never while paused.

import { serverCpu } from './api.js';
import { useEffect, useRef, useState } from './lib.js';
import { paused, status } from './liveStream.js';

/** Seconds between two readings while tasks change. */
const ACTIVE_INTERVAL = 1.2;
/**
 * A page may take this part of a processor of the server's, so that ten of them are less than half
 * of one.
 */
const MAX_CPU_SHARE = 1 / 25;
/**
 * Seconds after which tasks that do not change are at rest: the stream tells the state every two.
 */
const IDLE_AFTER = 4.5;
/** Milliseconds between two looks whether it is time. */
const CHECK_INTERVAL = 250;

/**
 * Seconds to wait after a reading for which the server worked so long.
 * @param {number} ms
 * @param {number} [least] seconds
 */
export const refreshDelay = (ms, least = ACTIVE_INTERVAL) =>
  Math.max(least, ms / 1000 / MAX_CPU_SHARE);

/**
 * A number that changes when figures should be read again.
 * @param {number} idle seconds between two readings while nothing changes
 * @param {number} [busy] the same while tasks change
 */
export function useRefreshTimer(idle, busy = ACTIVE_INTERVAL) {
  const [turn, setTurn] = useState(0);
  // what the page needs to begin with is not held against it
  const last = useRef({
    at: Date.now(),
    worked: Infinity,
    sequence: /** @type {any} */ (undefined),
    moved: Date.now(),
  });
  useEffect(() => {
    const look = () => {
      if (paused.peek() || document.hidden) return;
      const [now, before] = [Date.now(), last.current];
      const sequence = status.peek()?.store?.sequence;
      if (sequence !== before.sequence) Object.assign(before, { sequence, moved: now });
      const waited = (now - before.at) / 1000;
      const changing = (now - before.moved) / 1000 < IDLE_AFTER || before.moved > before.at;
      if (waited < refreshDelay(serverCpu.ms - before.worked, busy) || (waited < idle && !changing))
        return;
      Object.assign(before, { at: now, worked: serverCpu.ms });
      setTurn((n) => n + 1);
    };
    const timer = setInterval(look, CHECK_INTERVAL);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [busy, idle]);
  return turn;
}
