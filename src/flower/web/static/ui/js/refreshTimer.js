// Schedules the refreshes of figures: within two seconds after a change, limited by the CPU time that
// the server spends on this page, and not while live updates are paused.

import { serverCpu } from './api.js';
import { useEffect, useRef, useState } from './lib.js';
import { paused, status } from './liveStream.js';

/** Minimum seconds between two refreshes while tasks change. */
const ACTIVE_INTERVAL = 1.2;
/** Maximum seconds, unless the refreshes would use more than a quarter of one CPU of the server. */
const MAX_ACTIVE_INTERVAL = 1.5;
const HARD_CPU_SHARE = 1 / 4;
/** Seconds between two requests of figures that can change without an event, for example the sizes of pools. */
export const FIGURE_INTERVAL = 1.5;
/** The same of the depths of queues, each of which costs a request to the broker. */
export const QUEUE_INTERVAL = 2;
/** Seconds between two recorded samples of the depths; charts of the samples end with the present depth. */
export const SAMPLE_INTERVAL = 15;
/** Share of one CPU of the server that one page uses if figures need not be older for that. */
const MAX_CPU_SHARE = 1 / 25;
/** Seconds without a change after which the store is idle; the stream sends the status every two at least. */
const IDLE_AFTER = 4.5;
/** Milliseconds between two checks. */
const CHECK_INTERVAL = 100;

/**
 * Seconds to wait after a refresh that took this CPU time of the server.
 * @param {number} ms
 * @param {number} [minimum] seconds
 */
export const refreshDelay = (ms, minimum = ACTIVE_INTERVAL) =>
  Math.max(
    minimum,
    Math.min(MAX_ACTIVE_INTERVAL, ms / 1000 / MAX_CPU_SHARE),
    ms / 1000 / HARD_CPU_SHARE,
  );

/**
 * A number that changes when statistics should be loaded again.
 * @param {number} idle seconds between two refreshes while nothing changes
 * @param {number} [busy] the same while tasks change
 */
export function useRefreshTimer(idle, busy = ACTIVE_INTERVAL) {
  const [count, setCount] = useState(0);
  // the requests of the first load do not count
  const last = useRef({
    at: Date.now(),
    cpu: Infinity,
    sequence: /** @type {any} */ (undefined),
    changedAt: Date.now(),
  });
  useEffect(() => {
    const check = () => {
      if (paused.peek() || document.hidden) return;
      const [now, before] = [Date.now(), last.current];
      const sequence = status.peek()?.store?.sequence;
      if (sequence !== before.sequence) Object.assign(before, { sequence, changedAt: now });
      const waited = (now - before.at) / 1000;
      const changing = (now - before.changedAt) / 1000 < IDLE_AFTER || before.changedAt > before.at;
      if (waited < refreshDelay(serverCpu.ms - before.cpu, busy) || (waited < idle && !changing))
        return;
      Object.assign(before, { at: now, cpu: serverCpu.ms });
      setCount((n) => n + 1);
    };
    const timer = setInterval(check, CHECK_INTERVAL);
    document.addEventListener('visibilitychange', check);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', check);
    };
  }, [busy, idle]);
  return count;
}

/**
 * A number that changes soon after a call of `schedule`: when statistics should be loaded again. For
 * pages that receive each change from the stream.
 */
export function useScheduledRefresh() {
  const [refresh, setRefresh] = useState(0);
  const timer = useRef(0);
  const before = useRef(Infinity);
  useEffect(() => () => clearTimeout(timer.current), []);
  const schedule = () => {
    timer.current ||= setTimeout(
      () => {
        timer.current = 0;
        before.current = serverCpu.ms;
        setRefresh((n) => n + 1);
      },
      refreshDelay(serverCpu.ms - before.current) * 1000,
    );
  };
  return { refresh, schedule };
}
