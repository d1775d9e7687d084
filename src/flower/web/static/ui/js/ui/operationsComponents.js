// Components of the pages about workers, queues, jobs and settings: unknown values, relative times,
// tabs, key-value lists, number fields.

import { currentUser } from '../currentUser.js';
import { line } from '../format/text.js';
import { age, hover } from '../format/time.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import { setQuery } from '../router.js';
import * as T from '../strings.js';
import { toast, toastProblem } from './toast.js';

/** An unknown value, which is not 0. @param {{why?: string}} props */
export const Unknown = ({ why = T.ops.unknown }) => html`
  <span class="muted" title=${why}>
    <span aria-hidden="true">–</span>
    <span class="vh">${why}</span>
  </span>
`;

/**
 * A value, or a dash if it is null.
 * @param {{value: any, show?: (n: any) => any, why?: string}} props
 */
export const OptionalValue = ({ value, show = String, why = T.ops.unknown }) =>
  value == null ? html`<${Unknown} why=${why} />` : show(value);

/** Age of a time; its tooltip has UTC. @param {{at: number | null | undefined}} props */
export const RelativeTime = ({ at }) =>
  at == null
    ? html`<${Unknown} />`
    : html`
      <time datetime=${new Date(at * 1000).toJSON() ?? ''} title=${hover(at)}>
        ${age(at)}
      </time>
    `;

/**
 * Renders the component periodically while the page is visible, to update ages.
 * @param {number} seconds
 */
export function useRerender(seconds) {
  const [, rerender] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) rerender((n) => n + 1);
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}

/**
 * Whether the user has this permission; null until loaded. Read-only mode does not matter.
 * @param {string} permission
 */
export const hasPermission = (permission) =>
  currentUser.value ? currentUser.value.permissions.includes(permission) : null;

/**
 * Tabs; the query string holds the selected one.
 * @param {{items: [string, string, (number | null)?][], value: string, label: string, note?:
 *   string, children?: any}} props
 */
export function Tabs({ items, value, label, note = '', children }) {
  const row = useRef(/** @type {any} */ (null));
  const select = (key) => setQuery({ tab: key === items[0][0] ? '' : key }, { replace: true });
  const keys = (event) => {
    const at = items.findIndex(([key]) => key === value);
    const next = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1 + items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    select(items[next % items.length][0]);
    row.current.querySelectorAll('[role=tab]')[next % items.length].focus();
  };
  return html`
    <section class="panel tabbed">
      <div class="tabs">
        <div role="tablist" aria-label=${label} ref=${row} onKeyDown=${keys}>
          ${items.map(
            ([key, text, n]) => html`
              <button
                type="button"
                role="tab"
                id=${`tab-${key}`}
                aria-selected=${key === value ? 'true' : 'false'}
                aria-controls="tab-panel"
                tabindex=${key === value ? 0 : -1}
                onClick=${() => select(key)}
              >
                ${text}
                ${n != null && html`<small>${n}</small>`}
              </button>
            `,
          )}
        </div>
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${value}`}>
        ${note && html`<p class="stale-note">${note}</p>`}
        ${children}
      </div>
    </section>
  `;
}

/** Text of a JSON value. @param {any} value */
export const formatJson = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/**
 * The non-null members of an object as a list.
 * @param {{of: Record<string, any> | null | undefined, link?: (key: string) => string}} props
 */
export function KeyValueList({ of, link = undefined }) {
  const entries = Object.entries(of ?? {}).filter(([, value]) => value != null);
  if (!entries.length) return html`<p class="pad muted">${of ? T.ops.none : T.ops.notReported}</p>`;
  return html`
    <dl class="key-values">
      ${entries.map(
        ([key, value]) => html`
          <div>
            <dt>
              ${
                link
                  ? html`
                    <a class="link" href=${link(key)} target="_blank" rel="noreferrer">
                      ${line(key)}
                    </a>
                  `
                  : line(key)
              }
            </dt>
            <dd class="mono">${line(formatJson(value), 2000)}</dd>
          </div>
        `,
      )}
    </dl>
  `;
}

/**
 * Shows the result of a request in a toast.
 * @param {Promise<any>} request
 * @param {(response: any) => string} text
 * @returns {Promise<any>} the response, null if the request failed
 */
export async function notifyResult(request, text) {
  try {
    const response = await request;
    toast(text(response));
    return response;
  } catch (problem) {
    toastProblem(problem);
    return null;
  }
}

/** A number field in a row of controls. */
export const NumberField = ({
  name,
  label,
  value = '',
  min = 1,
  max = 10000,
  placeholder = '',
  disabled = false,
}) => html`
  <input
    class="field short"
    type="number"
    name=${name}
    aria-label=${label}
    defaultValue=${value}
    min=${min}
    max=${max}
    placeholder=${placeholder}
    disabled=${disabled}
    required
  />
`;
