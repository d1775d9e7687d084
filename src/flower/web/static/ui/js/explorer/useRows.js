// The rows of a search: loaded page by page, updated by the stream.

import { get } from '../api.js';
import { zone } from '../format/time.js';
import { signal, useEffect, useLayoutEffect, useRef, useState } from '../lib.js';
import { apiColumns, TEXT_LIMIT } from './columns.js';
import { Rows } from './rows.js';
import { DEFAULT_SORT, searchParams } from './urlState.js';

const PAGE = 200;
/** Seconds between two loads of the first page while the stream leaves out tasks. */
const CATCH_UP_DELAY = 1;

/**
 * The rows of a search: loaded page by page, updated by the stream. `version` is a signal that changes with the rows:
 * only the components that read it are rendered again.
 */
export function useRows(state, columns) {
  const key = JSON.stringify([
    searchParams(state, ''),
    state.sort,
    apiColumns(columns, state.sort),
    TEXT_LIMIT,
  ]);
  const [reloads, setReloads] = useState(0);
  const version = useRef(signal(0)).current;
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [loading, setLoading] = useState(true);
  const [loads, setLoads] = useState(0);
  const rows = useRef(new Rows(state.sort));
  const fresh = useRef(new Set());
  const running = useRef({ control: new AbortController(), pages: new Set() });
  const later = useRef({ timer: 0, quiet: false, reading: false, missed: false });
  useEffect(() => () => clearTimeout(later.current.timer), []);
  const changed = () => {
    version.value = version.peek() + 1;
  };
  const within = searchParams(state, zone());
  // The zone matters only for times in the query or range. Without it, the address is that which the server preloads.
  if (!state.q && !within.start && !within.end) within.tz = '';
  const params = {
    ...within,
    sort: state.sort === DEFAULT_SORT ? '' : state.sort,
    columns: apiColumns(columns, state.sort),
    text_limit: TEXT_LIMIT,
    limit: PAGE,
  };

  useLayoutEffect(() => {
    const control = new AbortController();
    running.current = { control, pages: new Set() };
    if (!later.current.quiet) setLoading(true);
    later.current.quiet = false;
    later.current.reading = true;
    get('tasks', params, { signal: control.signal })
      .then(
        (response) => {
          const next = new Rows(state.sort);
          next.append(response.tasks, response.next_cursor);
          rows.current = next;
          fresh.current = new Set();
          setProblem(null);
          setLoading(false);
          setLoads((n) => n + 1);
          changed();
          if (!performance.getEntriesByName('page-ready').length)
            requestAnimationFrame(() => performance.mark('page-ready'));
        },
        (error) => {
          if (!control.signal.aborted) {
            setProblem(error);
            setLoading(false);
          }
        },
      )
      .finally(() => {
        if (!control.signal.aborted) later.current.reading = false;
      });
    return () => control.abort();
  }, [key, reloads]);

  const near = (from, to) => {
    const now = rows.current;
    const { control, pages } = running.current;
    const fetchPage = (cursor, put) => {
      if (pages.has(cursor)) return;
      pages.add(cursor);
      get('tasks', { ...params, cursor }, { signal: control.signal })
        .then(
          (response) => {
            if (rows.current === now) {
              put(response);
              now.dropDistantPages(from, to);
              changed();
            }
          },
          (error) => {
            if (!control.signal.aborted) setProblem(error);
          },
        )
        .finally(() => pages.delete(cursor));
    };
    for (const page of now.droppedPages(from, to))
      fetchPage(page.cursor, (response) => now.refill(page, response.tasks));
    if (!loading && now.next && to > now.total - 60)
      fetchPage(now.next, (response) => now.append(response.tasks, response.next_cursor));
  };
  const reload = () => setReloads((n) => n + 1);
  /**
   * Loads the first page again soon, without a loading state, if `allowed` still returns true then.
   * @param {() => boolean} allowed
   * @param {boolean} missed whether the stream left out tasks
   */
  const catchUp = (allowed, missed) => {
    const now = later.current;
    now.missed ||= missed;
    now.timer ||= setTimeout(() => {
      now.timer = 0;
      const add = now.missed ? 1 : 0;
      now.missed = false;
      if (now.reading || !allowed()) {
        rows.current.unsent += add;
        changed();
        return;
      }
      now.quiet = true;
      reload();
    }, CATCH_UP_DELAY * 1000);
  };
  return {
    rows: rows.current,
    version,
    problem,
    loading,
    isLoaded: loads > 0,
    fresh: fresh.current,
    near,
    changed,
    reload,
    catchUp,
  };
}
