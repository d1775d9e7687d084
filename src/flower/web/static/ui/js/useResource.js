// Hook that loads data: keeps the old data while it loads, keeps the error for the panel that shows it,
// and ignores the responses of superseded requests.
import { useEffect, useRef, useState } from './lib.js';

/**
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} inputs loads again when one of them changes
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
  useEffect(() => {
    if (skip) return undefined;
    const control = new AbortController();
    // A skeleton shown for a moment flickers.
    const slowTimer = setTimeout(() => setState((previous) => ({ ...previous, slow: true })), 150);
    setState((previous) => ({ ...previous, loading: true }));
    latest
      .current(control.signal)
      .then(
        (data) => {
          if (!control.signal.aborted)
            setState({ data, problem: null, loading: false, slow: false });
        },
        (problem) => {
          if (!control.signal.aborted)
            setState((previous) => ({ ...previous, problem, loading: false, slow: false }));
        },
      )
      .finally(() => clearTimeout(slowTimer));
    return () => {
      control.abort();
      clearTimeout(slowTimer);
    };
  }, [...inputs, count, skip]);
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
