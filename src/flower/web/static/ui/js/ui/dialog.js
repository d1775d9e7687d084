// Native modal dialogs: the focus stays inside, Escape closes, the page behind is inert. One at a
// time.
import { html, signal, useEffect, useRef } from '../lib.js';
import { T } from '../strings.js';

const current = signal(/** @type {any} */ (null));

/**
 * Show a dialog. `body` is called with `close`; what it is called with is what the promise gives,
 * null if it was left.
 * @param {{title: string, body: (close: (value: any) => void) => any, wide?: boolean}} what
 * @returns {Promise<any>}
 */
export const showDialog = (what) =>
  new Promise((done) => {
    current.value?.done(null);
    current.value = { ...what, done };
  });

/**
 * Ask before something is done. The safe button has the focus.
 * @param {{title: string, text: string, verb: string, keep?: string, facts?: [string, any][],
 *   danger?: boolean, more?: any}} what
 * @returns {Promise<boolean>}
 */
export const confirmAction = async ({
  title,
  text,
  verb,
  keep = T.cancel,
  facts = [],
  danger = true,
  more = null,
}) =>
  (await showDialog({
    title,
    body: (close) => html`
      <p>${text}</p>
      ${
        facts.length > 0 &&
        html`
          <dl class="meta">
            ${facts.map(
              ([k, v]) => html`
                <dt>${k}</dt>
                <dd>${v}</dd>
              `,
            )}
          </dl>
        `
      }
      ${more}
      <div class="row">
        <button type="button" class="btn" autofocus onClick=${() => close(false)}>
          ${keep}
        </button>
        <button
          type="button"
          class=${`btn ${danger ? 'solid-danger' : 'primary'}`}
          onClick=${() => close(true)}
        >
          ${verb}
        </button>
      </div>
    `,
  })) === true;

export function DialogHost() {
  const what = current.value;
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (!what) return undefined;
    const before = document.activeElement;
    box.current.showModal();
    box.current.querySelector('[autofocus]')?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, [what]);
  if (!what) return null;
  const close = (value) => {
    if (current.value === what) current.value = null;
    what.done(value);
  };
  return html`
    <dialog
      ref=${box}
      key=${what.title}
      class=${what.wide ? 'wide' : ''}
      aria-labelledby="dialog-title"
      onCancel=${(e) => {
        e.preventDefault();
        close(null);
      }}
      onMouseDown=${(e) => {
        if (e.target === box.current) close(null);
      }}
    >
      <div class="dialog-in">
        <h2 id="dialog-title">${what.title}</h2>
        ${what.body(close)}
      </div>
    </dialog>
  `;
}
