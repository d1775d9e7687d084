// Parts of the pages about workers, queues, jobs and people: what is not known, tabs, lists of
// facts, a clock.

import { currentUser } from '../currentUser.js';
import { line } from '../format/text.js';
import { age, hover } from '../format/time.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import { setQuery } from '../router.js';
import { T } from '../strings.js';
import { toast, toastProblem } from './toast.js';

/** What nobody told is not 0. @param {{why?: string}} props */
export const Unknown = ({ why = T.ops.unknown }) => html`
  <span class="muted" title=${why}>
    <span aria-hidden="true">–</span>
    <span class="vh">${why}</span>
  </span>
`;

/**
 * A number, or that it is not known.
 * @param {{n: any, show?: (n: any) => any, why?: string}} props
 */
export const OptionalValue = ({ n, show = String, why = T.ops.unknown }) =>
  n == null ? html`<${Unknown} why=${why} />` : show(n);

/** How long ago; UTC on hover. @param {{at: number | null | undefined}} props */
export const RelativeTime = ({ at }) =>
  at == null
    ? html`<${Unknown} />`
    : html`
      <time datetime=${new Date(at * 1000).toJSON() ?? ''} title=${hover(at)}>
        ${age(at)}
      </time>
    `;

/**
 * Renders again each so many seconds while the page is seen, for ages that grow.
 * @param {number} seconds
 */
export function useRerender(seconds) {
  const [, turn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) turn((n) => n + 1);
    }, seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
}

/**
 * Whether one may look, null until that is known; that read-only mode forbids changes does not
 * matter here.
 * @param {string} permission
 */
export const hasPermission = (permission) =>
  currentUser.value ? currentUser.value.permissions.includes(permission) : null;

/**
 * Tabs; which one is chosen is in the address.
 * @param {{items: [string, string, (number | null)?][], value: string, label: string, note?:
 *   string, children?: any}} props
 */
export function Tabs({ items, value, label, note = '', children }) {
  const row = useRef(/** @type {any} */ (null));
  const pick = (key) => setQuery({ tab: key === items[0][0] ? '' : key }, { replace: true });
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
    pick(items[next % items.length][0]);
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
                onClick=${() => pick(key)}
              >
                ${text}
                ${n != null && html`<small>${n}</small>`}
              </button>
            `,
          )}
        </div>
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${value}`}>
        ${note && html`<p class="last-words">${note}</p>`}
        ${children}
      </div>
    </section>
  `;
}

/** How a value of JSON is shown in a line. @param {any} value */
export const formatJson = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/**
 * What somebody said under names of their own.
 * @param {{of: Record<string, any> | null | undefined, link?: (key: string) => string}} props
 */
export function KeyValueList({ of, link = undefined }) {
  const known = Object.entries(of ?? {}).filter(([, value]) => value != null);
  if (!known.length) return html`<p class="pad muted">${of ? T.ops.nothing : T.ops.notSaid}</p>`;
  return html`
    <dl class="said">
      ${known.map(
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
 * Does something that may be refused, and says how it went.
 * @param {Promise<any>} doing
 * @param {(told: any) => string} words
 * @returns {Promise<any>} what was told, null if it was refused
 */
export async function notifyResult(doing, words) {
  try {
    const told = await doing;
    toast(words(told));
    return told;
  } catch (problem) {
    toastProblem(problem);
    return null;
  }
}

/** A field of numbers in a row of controls. */
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
