// When a page that shows figures reads them again: as things happen, not oftener than it can be read, never while paused.
import { useEffect, useRef, useState } from './lib.js';
import { paused, status } from './live.js';

/** A number that changes when figures should be read again.
 * @param {number} busy seconds between two readings while tasks change @param {number} idle … while they do not */
export function useTurn(busy, idle) {
  const [turn, setTurn] = useState(0);
  const last = useRef({ at: Date.now(), sequence: /** @type {any} */ (undefined) });
  useEffect(() => {
    const look = () => {
      if (paused.peek() || document.hidden) return;
      const sequence = status.peek()?.store?.sequence;
      const waited = (Date.now() - last.current.at) / 1000;
      if (waited < busy || (waited < idle && sequence === last.current.sequence)) return;
      last.current = { at: Date.now(), sequence };
      setTurn((n) => n + 1);
    };
    const timer = setInterval(look, 1000);
    document.addEventListener('visibilitychange', look);
    return () => { clearInterval(timer); document.removeEventListener('visibilitychange', look); };
  }, [busy, idle]);
  return turn;
}
