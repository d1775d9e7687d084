// Hook that loads data: keeps the old data while it loads, keeps the error for the panel that shows it,
// and ignores the responses of superseded requests.
import { useEffect, useLayoutEffect, useRef, useState } from './lib.js';

/**
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} inputs loads again when one of them changes; a number is a count of refreshes, after which the
 *   old data is not dimmed
 * @param {{every?: number, skip?: boolean}} how every: seconds between refreshes while the page
 *   is visible
 * @returns {{data: T | null, problem: any, loading: boolean, slow: boolean, reload: () => void,
 *   set: (data: T) => void}}
 */
export function useResource(load, inputs, { every = 0, skip = false } = {}) {
  const [state, setState] = useState(
    /** @type {any} */ ({ data: null, problem: null, loading: !skip, slow: false }),
  );
  const [count, setCount] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const subject = inputs.filter((each) => typeof each !== 'number').join('\n');
  const now = useRef({
    control: /** @type {AbortController | null} */ (null),
    subject: '',
    shown: /** @type {string | null} */ (null),
    again: false,
  }).current;
  const start = () => {
    const control = new AbortController();
    Object.assign(now, { control, subject, again: false });
    // A skeleton shown for a moment flickers.
    const slowTimer =
      now.shown === subject
        ? 0
        : setTimeout(() => setState((previous) => ({ ...previous, slow: true })), 150);
    control.signal.addEventListener('abort', () => clearTimeout(slowTimer));
    setState((previous) => ({ ...previous, loading: true }));
    latest
      .current(control.signal)
      .then(
        (data) => {
          if (control.signal.aborted) return;
          now.shown = subject;
          setState({ data, problem: null, loading: false, slow: false });
        },
        (problem) => {
          if (!control.signal.aborted)
            setState((previous) => ({ ...previous, problem, loading: false, slow: false }));
        },
      )
      .finally(() => {
        clearTimeout(slowTimer);
        if (control.signal.aborted) return;
        now.control = null;
        if (now.again) start();
      });
  };
  // Before the next frame, so that no request waits for it.
  useLayoutEffect(() => {
    // A refresh waits for the running request: with a slow server no response would ever be complete.
    if (!skip && now.control && now.subject === subject) {
      now.again = true;
      return;
    }
    now.control?.abort();
    now.control = null;
    if (!skip) start();
  }, [...inputs, count, skip]);
  useEffect(() => () => now.control?.abort(), []);
  useEffect(() => {
    if (!every || skip) return undefined;
    const refresh = () => {
      if (!document.hidden) setCount((n) => n + 1);
    };
    const timer = setInterval(refresh, every * 1000);
    document.addEventListener('visibilitychange', refresh);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', refresh);
    };
  }, [every, skip]);
  return {
    ...state,
    reload: () => setCount((n) => n + 1),
    set: (data) => setState((previous) => ({ ...previous, data })),
  };
}
