// The state of the tasks page in its query string.
import { appendTerm, quoteValue } from '../search/queryText.js';

/** The columns if none were chosen. */
export const DEFAULT_COLUMNS = [
  'state',
  'name',
  'summary',
  'queue',
  'worker',
  'runtime',
  'time_at',
];
export const DEFAULT_SORT = '-time';

/** The times of a task that the time range can refer to; '': received, else sent, else first event. */
export const TIME_KEYS = ['', 'sent', 'received', 'started', 'ended'];

/**
 * @typedef {{q: string, start: string, end: string, by: string, brush: [number, number] | null,
 *   sort: string, columns: string[], chosen: boolean}} State
 * q: the query; start, end: the time range as the API takes it; by: one of TIME_KEYS; brush: the
 * selected part of it in epoch seconds
 */

/**
 * The query, also from links of Flower: `?state=FAILURE&worker=w&name=n&search=text`.
 * @param {URLSearchParams} params
 */
function readQuery(params) {
  let q = params.get('q') ?? params.get('search') ?? '';
  for (const field of ['state', 'worker', 'name']) {
    const value = params.get(field);
    if (value) q = appendTerm(q, `${field}:${field === 'state' ? value : `=${quoteValue(value)}`}`);
  }
  return q.trim();
}

/**
 * @param {URLSearchParams} params
 * @param {string[]} configured columns of the option tasks_columns
 * @returns {State}
 */
export function parseUrlState(params, configured = []) {
  const [start = '', end = ''] = (params.get('t') ?? '').split('..');
  const brush = (params.get('b') ?? '').split('..').map(Number);
  const columns = (params.get('cols') ?? '').split(',').filter(Boolean);
  return {
    q: readQuery(params),
    start,
    end,
    by: TIME_KEYS.includes(params.get('by') ?? '') ? (params.get('by') ?? '') : '',
    brush:
      brush.length === 2 &&
      brush.every((each) => Number.isFinite(each) && each > 0) &&
      brush[0] < brush[1]
        ? [brush[0], brush[1]]
        : null,
    sort: params.get('sort') || DEFAULT_SORT,
    columns: columns.length ? columns : configured.length ? configured : DEFAULT_COLUMNS,
    chosen: columns.length > 0 || configured.length > 0,
  };
}

/**
 * API parameters of the search, limited to the selected part of the time range.
 * @param {State} state
 * @param {string} tz
 */
export const searchParams = (state, tz) => ({
  query: state.q,
  start: state.brush ? state.brush[0] : state.start,
  end: state.brush ? state.brush[1] : state.end,
  ...(state.by && { time: state.by }),
  tz,
});

/**
 * API parameters of the whole time range, for the histogram.
 * @param {State} state
 * @param {string} tz
 */
export const windowParams = (state, tz) => ({
  query: state.q,
  start: state.start,
  end: state.end,
  ...(state.by && { time: state.by }),
  tz,
});

/** @param {string} start @param {string} end */
export const formatRange = (start, end) => (start || end ? `${start}..${end}` : '');
