// How many tasks have each value. What is clicked is written into the query, so that what is shared
// is what is seen.

import { get } from '../api.js';
import { compact } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { chosen, toggle, without } from '../search/tokenizer.js';
import { T } from '../strings.js';
import { STATES, TaskState } from '../ui/components.js';
import { ErrorPanel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';

export const FACETS = ['state', 'name', 'queue', 'worker', 'exception'];
const COLLAPSED_VALUES = 9;
const MAX_VALUES = 100;

/** The counts of all facets, each without its own filter, and of the whole search.
 * @param {any} window as `asked` gives it @param {number} limit @param {AbortSignal} signal */
async function loadFacets(window, limit, signal) {
  const own = FACETS.filter((facet) => chosen(window.query, facet).length > 0);
  const rest = FACETS.filter((facet) => !own.includes(facet));
  const whole = get(
    'facets',
    { ...window, facets: rest.length ? rest : ['state'], limit },
    { signal },
  );
  const parts = own.map((facet) =>
    get(
      'facets',
      { ...window, query: without(window.query, facet), facets: facet, limit },
      { signal },
    ),
  );
  const [first, ...others] = await Promise.all([whole, ...parts]);
  const facets = { ...first.facets };
  own.forEach((facet, i) => {
    facets[facet] = others[i].facets[facet];
  });
  return { count: first.count, partial: first.partial, facets };
}

/** @param {any} window @param {number} turn changes when it is to be read again */
export function useFacets(window, turn) {
  return useResource(
    (signal) => loadFacets(window, MAX_VALUES, signal),
    [JSON.stringify(window), turn],
  );
}

function Facet({ field, told, query, onQuery }) {
  const [all, setAll] = useState(false);
  const on = chosen(query, field);
  const order = (one) => STATES.indexOf(one.value) + 1 || 99;
  const sorted =
    field === 'state' ? [...told.values].sort((a, b) => order(a) - order(b)) : told.values;
  const missing = on
    .filter((value) => !told.values.some((one) => one.value === value))
    .map((value) => ({ value, count: 0 }));
  const shown = [
    ...sorted.slice(0, all || field === 'state' ? MAX_VALUES : COLLAPSED_VALUES),
    ...missing,
  ];
  const most = Math.max(1, ...shown.map((one) => one.count));
  const rest = told.values.length - COLLAPSED_VALUES;
  return html`
    <section>
      <h2>${T.tasks.facets[field]}</h2>
      ${shown.map(
        ({ value, count }) => html`
          <label
            key=${value}
            class=${on.includes(value) ? 'on' : ''}
            title=${line(value ?? T.tasks.noValue, 500)}
          >
            <input
              type="checkbox"
              class="check"
              checked=${on.includes(value)}
              onChange=${() => onQuery(toggle(query, field, value))}
            />
            ${
              field === 'state' && value
                ? html`<${TaskState} s=${value} />`
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
              <i style=${{ width: `${Math.max(1.5, (100 * count) / most)}%` }}></i>
            </em>
          </label>
        `,
      )}
      ${
        field !== 'state' &&
        rest > 0 &&
        html`
          <button type="button" class="more" onClick=${() => setAll(!all)}>
            ${all ? T.tasks.fewer : T.tasks.moreValues(rest)}
          </button>
        `
      }
    </section>
  `;
}

/**
 * @param {{of: any, query: string, onQuery: (text: string) => void}} props of: what `useFacets`
 *   gave
 */
export function Facets({ of, query, onQuery }) {
  if (!of.data)
    return of.problem && of.problem.status !== 400
      ? html`<${ErrorPanel} problem=${of.problem} onRetry=${of.reload} />`
      : of.slow
        ? html`<${Skeleton} widths=${[70, 40, 55, 30, 62, 48]} />`
        : null;
  const filled = FACETS.filter(
    (field) =>
      of.data.facets[field] &&
      (of.data.facets[field].values.some((one) => one.value) || chosen(query, field).length),
  );
  if (!filled.length) return html`<p class="muted small none">${T.tasks.noFilters}</p>`;
  return html`
    <div class=${of.slow ? 'dim' : ''}>
      ${filled.map(
        (field) => html`
          <${Facet}
            key=${field}
            field=${field}
            told=${of.data.facets[field]}
            query=${query}
            onQuery=${onQuery}
          />
        `,
      )}
    </div>
  `;
}
