// Facets: the values of a field with their counts. A selected value becomes a term of the query.

import { get } from '../api.js';
import { compact } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import { selectsLost, toggleFacetValue, toggleLost } from '../search/queryText.js';
import * as T from '../strings.js';
import { STATES, TaskState } from '../ui/components.js';
import { ErrorPanel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';

export const FACETS = ['state', 'name', 'queue', 'worker', 'exception'];
const COLLAPSED_VALUES = 9;
const MAX_VALUES = 100;

/**
 * The values of all facets, each counted without its own terms in the query.
 * @param {any} params result of `searchParams`
 * @param {number} refresh changes when they should be loaded again
 */
export function useFacets(params, refresh) {
  const load = async (signal) => {
    const request = { ...params, facets: FACETS, limit: MAX_VALUES, exclude_own: true };
    const lost = selectsLost(params.query) ? params.query : toggleLost(params.query);
    const [facets, { count }] = await Promise.all([
      get('facets', request, { signal }),
      get('count', { ...params, query: lost }, { signal }),
    ]);
    return { ...facets, lost: count, query: params.query };
  };
  return useResource(load, [JSON.stringify(params), refresh]);
}

/** The number of tasks whose state is not known, as a filter. */
function LostFacet({ count, query, onQuery }) {
  const isSelected = selectsLost(query);
  if (!count && !isSelected) return null;
  return html`
    <section>
      <h2>${T.lost.facet}</h2>
      <label class=${isSelected ? 'on' : ''}>
        <input
          type="checkbox"
          class="check"
          checked=${isSelected}
          onChange=${() => onQuery(toggleLost(query))}
        />
        <span><b class="lost">${T.lost.mark}</b></span>
        <b>${compact(count)}</b>
      </label>
    </section>
  `;
}

function Facet({ field, facet, selected, onToggle }) {
  const [all, setAll] = useState(false);
  const stateOrder = (one) => STATES.indexOf(one.value) + 1 || 99;
  const sorted =
    field === 'state'
      ? [...facet.values].sort((a, b) => stateOrder(a) - stateOrder(b))
      : facet.values;
  const missing = selected
    .filter((value) => !facet.values.some((one) => one.value === value))
    .map((value) => ({ value, count: 0 }));
  const shown = [
    ...sorted.slice(0, all || field === 'state' ? MAX_VALUES : COLLAPSED_VALUES),
    ...missing,
  ];
  const maxCount = Math.max(1, ...shown.map((one) => one.count));
  const rest = facet.values.length - COLLAPSED_VALUES;
  return html`
    <section>
      <h2>${T.tasks.facets[field]}</h2>
      ${shown.map(
        ({ value, count }) => html`
          <label
            key=${value}
            class=${selected.includes(value) ? 'on' : ''}
            title=${line(value ?? T.tasks.noValue, 500)}
          >
            <input
              type="checkbox"
              class="check"
              checked=${selected.includes(value)}
              onChange=${() => onToggle(value)}
            />
            ${
              field === 'state' && value
                ? html`<${TaskState} state=${value} />`
                : html`
                  <span class="trunc">
                    ${
                      value
                        ? line(field === 'worker' ? value.replace(/^celery@/, '') : value, 120)
                        : T.tasks.noValue
                    }
                  </span>
                `
            }
            <b>${compact(count)}</b>
            <em aria-hidden="true">
              <i style=${{ width: `${Math.max(1.5, (100 * count) / maxCount)}%` }}></i>
            </em>
          </label>
        `,
      )}
      ${
        field !== 'state' &&
        rest > 0 &&
        html`
          <button type="button" class="more" onClick=${() => setAll(!all)}>
            ${all ? T.tasks.showLess : T.tasks.showMore(rest)}
          </button>
        `
      }
    </section>
  `;
}

/**
 * The selected values by facet, and a function that changes them. A selection is shown at once; it is
 * written into the query when the facets of the present query are loaded, because their terms are
 * needed for that.
 */
function useSelection(of, query, onQuery) {
  const [pending, setPending] = useState(/** @type {Record<string, (string | null)[]>} */ ({}));
  const queue = useRef(/** @type {[string, string | null][]} */ ([]));
  const isCurrent = of.data?.query === query;
  const selected = (field) => pending[field] ?? of.data.facets[field].selected;
  const apply = ([field, value]) => onQuery(toggleFacetValue(field, of.data.facets[field], value));
  const toggle = (field, value) => {
    const before = selected(field);
    const after = before.includes(value)
      ? before.filter((each) => each !== value)
      : [...before, value];
    setPending({ ...pending, [field]: after });
    if (isCurrent && !queue.current.length) apply([field, value]);
    else queue.current.push([field, value]);
  };
  useEffect(() => {
    if (of.problem) queue.current = [];
    if (!isCurrent && !of.problem) return;
    const next = queue.current.shift();
    if (next) apply(next);
    else setPending({});
  }, [of.data, of.problem, query]);
  return { selected, toggle };
}

/**
 * @param {{of: any, query: string, onQuery: (text: string) => void}} props of: result of `useFacets`
 */
export function Facets({ of, query, onQuery }) {
  const { selected, toggle } = useSelection(of, query, onQuery);
  if (!of.data)
    return of.problem && of.problem.status !== 400
      ? html`<${ErrorPanel} problem=${of.problem} onRetry=${of.reload} />`
      : of.slow
        ? html`<${Skeleton} widths=${[70, 40, 55, 30, 62, 48]} />`
        : null;
  const { facets } = of.data;
  const filled = FACETS.filter(
    (field) =>
      facets[field] && (facets[field].values.some((one) => one.value) || selected(field).length),
  );
  if (!filled.length) return html`<p class="muted small none">${T.tasks.noFilters}</p>`;
  return html`
    <div class=${of.slow ? 'dim' : ''}>
      ${filled.map(
        (field) => html`
          <${Facet}
            key=${field}
            field=${field}
            facet=${facets[field]}
            selected=${selected(field)}
            onToggle=${(value) => toggle(field, value)}
          />
          ${
            field === filled[0] &&
            html`<${LostFacet} key="lost" count=${of.data.lost} query=${query} onQuery=${onQuery} />`
          }
        `,
      )}
    </div>
  `;
}
