// Writes terms of the search language. Reading a query is left to the server.

/**
 * A value as the search language takes it, quoteValue where that is necessary.
 * @param {string} value
 */
export const quoteValue = (value) =>
  /^[\w.@#/+-]+$/.test(value) && !/^[-+]/.test(value)
    ? value
    : `"${value.replace(/(["\\])/g, '\\$1')}"`;

/**
 * The query and this term. OR binds weaker than AND, so a query that contains it gets parentheses.
 * @param {string} query
 * @param {string} term
 */
export const appendTerm = (query, term) =>
  `${/\bOR\b/.test(query) ? `(${query.trim()})` : query.trim()} ${term}`.trim();

/**
 * The query with one value of a facet added or removed.
 * @param {string} facet
 * @param {{selected: (string | null)[], remaining_query: string}} terms of the facet in the response
 *   of `GET /facets`: its selected values and the query without them
 * @param {string | null} value null: tasks that have no value
 */
export function toggleFacetValue(facet, { selected, remaining_query }, value) {
  const isSelected = selected.includes(value);
  const next = isSelected ? selected.filter((each) => each !== value) : [...selected, value];
  const values = next.filter((each) => each !== null).map((each) => quoteValue(String(each)));
  // States are compared as a whole in any case; other facets select exactly this value.
  const sign = facet === 'state' ? '' : '=';
  return [
    remaining_query,
    values.length > 0 && `${facet}:${sign}${values.join(',')}`,
    next.includes(null) && `-has:${facet}`,
  ]
    .filter(Boolean)
    .join(' ');
}

const LOST = /(^|\s)is:lost(?=\s|$)/;

/** Whether the query selects lost tasks. @param {string} query */
export const selectsLost = (query) => LOST.test(query);

/** The query with `is:lost` added or removed. @param {string} query */
export const toggleLost = (query) =>
  selectsLost(query) ? query.replace(LOST, '').trim() : appendTerm(query, 'is:lost');
