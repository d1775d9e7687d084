// Something that is read: old data stays while new comes, a problem stays in the panel that has it,
// the last one asked wins.
import { useEffect, useRef, useState } from './lib.js';

/**
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} inputs it is read again when one of them changes
 * @param {{every?: number, skip?: boolean}} how every: seconds after which it is read again, while
 *   the page is seen
 * @returns {{data: T | null, problem: any, loading: boolean, slow: boolean, reload: () => void,
 *   set: (data: T) => void}}
 */
export function useResource(load, inputs, { every = 0, skip = false } = {}) {
  const [state, setState] = useState(
    /** @type {any} */ ({ data: null, problem: null, loading: !skip, slow: false }),
  );
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    if (skip) return undefined;
    const control = new AbortController();
    // A skeleton that flashes is worse than nothing for a moment.
    const late = setTimeout(() => setState((was) => ({ ...was, slow: true })), 150);
    setState((was) => ({ ...was, loading: true }));
    latest
      .current(control.signal)
      .then(
        (data) => {
          if (!control.signal.aborted)
            setState({ data, problem: null, loading: false, slow: false });
        },
        (problem) => {
          if (!control.signal.aborted)
            setState((was) => ({ ...was, problem, loading: false, slow: false }));
        },
      )
      .finally(() => clearTimeout(late));
    return () => {
      control.abort();
      clearTimeout(late);
    };
  }, [...inputs, turn, skip]);
  useEffect(() => {
    if (!every || skip) return undefined;
    const again = () => {
      if (!document.hidden) setTurn((n) => n + 1);
    };
    const timer = setInterval(again, every * 1000);
    document.addEventListener('visibilitychange', again);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', again);
    };
  }, [every, skip]);
  return {
    ...state,
    reload: () => setTurn((n) => n + 1),
    set: (data) => setState((was) => ({ ...was, data })),
  };
}
