// Facets: the values of a field with their counts. A selected value becomes a term of the query.

import { get } from '../api.js';
import { compact } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { toggleFacetValue } from '../search/queryText.js';
import { T } from '../strings.js';
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
  return useResource(
    (signal) =>
      get(
        'facets',
        { ...params, facets: FACETS, limit: MAX_VALUES, exclude_own: true },
        { signal },
      ),
    [JSON.stringify(params), refresh],
  );
}

function Facet({ field, facet, onQuery }) {
  const [all, setAll] = useState(false);
  const { selected } = facet;
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
              onChange=${() => onQuery(toggleFacetValue(field, facet, value))}
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
 * @param {{of: any, onQuery: (text: string) => void}} props of: what `useFacets`
 *   gave
 */
export function Facets({ of, onQuery }) {
  if (!of.data)
    return of.problem && of.problem.status !== 400
      ? html`<${ErrorPanel} problem=${of.problem} onRetry=${of.reload} />`
      : of.slow
        ? html`<${Skeleton} widths=${[70, 40, 55, 30, 62, 48]} />`
        : null;
  const filled = FACETS.filter(
    (field) =>
      of.data.facets[field] &&
      (of.data.facets[field].values.some((one) => one.value) ||
        of.data.facets[field].selected.length),
  );
  if (!filled.length) return html`<p class="muted small none">${T.tasks.noFilters}</p>`;
  return html`
    <div class=${of.slow ? 'dim' : ''}>
      ${filled.map(
        (field) => html`
          <${Facet}
            key=${field}
            field=${field}
            facet=${of.data.facets[field]}
            onQuery=${onQuery}
          />
        `,
      )}
    </div>
  `;
}
