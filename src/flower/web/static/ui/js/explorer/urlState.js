// What the address of the explorer says. DOM-less, so that it can be tested on its own.
import { add, quoted } from '../search/tokenizer.js';

/** The columns of who chose none. */
export const DEFAULT_COLUMNS = [
  'state',
  'name',
  'summary',
  'queue',
  'worker',
  'runtime',
  'received',
];
export const DEFAULT_SORT = '-received';

/**
 * @typedef {{q: string, start: string, end: string, brush: [number, number] | null, sort: string,
 *   columns: string[], chosen: boolean}} State
 * q: the query; start, end: the range of time as the API takes it; brush: a part of it in epoch
 * seconds
 */

/**
 * Flower's own links: `?state=FAILURE&worker=w&name=n&search=text`.
 * @param {URLSearchParams} given
 */
function queryOf(given) {
  let q = given.get('q') ?? given.get('search') ?? '';
  for (const field of ['state', 'worker', 'name']) {
    const value = given.get(field);
    if (value) q = add(q, `${field}:${field === 'state' ? value : `=${quoted(value)}`}`);
  }
  return q.trim();
}

/**
 * @param {URLSearchParams} given
 * @param {string[]} configured columns by the option tasks_columns; none = ours
 * @returns {State}
 */
export function parseUrlState(given, configured = []) {
  const [start = '', end = ''] = (given.get('t') ?? '').split('..');
  const brush = (given.get('b') ?? '').split('..').map(Number);
  const columns = (given.get('cols') ?? '').split(',').filter(Boolean);
  return {
    q: queryOf(given),
    start,
    end,
    brush:
      brush.length === 2 &&
      brush.every((each) => Number.isFinite(each) && each > 0) &&
      brush[0] < brush[1]
        ? [brush[0], brush[1]]
        : null,
    sort: given.get('sort') || DEFAULT_SORT,
    columns: columns.length ? columns : configured.length ? configured : DEFAULT_COLUMNS,
    chosen: columns.length > 0 || configured.length > 0,
  };
}

/**
 * Query and window as questions take them; what was brushed counts.
 * @param {State} state
 * @param {string} tz
 */
export const searchParams = (state, tz) => ({
  query: state.q,
  start: state.brush ? state.brush[0] : state.start,
  end: state.brush ? state.brush[1] : state.end,
  tz,
});

/**
 * … without what was brushed: the histogram shows what is around it.
 * @param {State} state
 * @param {string} tz
 */
export const windowParams = (state, tz) => ({
  query: state.q,
  start: state.start,
  end: state.end,
  tz,
});

/** @param {string} start @param {string} end */
export const formatRange = (start, end) => (start || end ? `${start}..${end}` : '');
