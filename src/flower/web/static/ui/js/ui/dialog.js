// Native modal dialogs, one at a time.
import { html, signal, useEffect, useRef } from '../lib.js';
import * as T from '../strings.js';

const current = signal(/** @type {any} */ (null));

/**
 * Shows a dialog. `body` is called with `close`; the promise resolves to the argument of `close`, or to
 * null if the dialog was dismissed.
 * @param {{title: string, body: (close: (value: any) => void) => any, wide?: boolean}} options
 * @returns {Promise<any>}
 */
export const showDialog = (options) =>
  new Promise((done) => {
    current.value?.done(null);
    current.value = { ...options, done };
  });

/**
 * Shows a confirmation dialog. The Cancel button has the focus. `more`: further content, or a function
 * that is called with `close`.
 * @param {{title: string, text: string, verb: string, facts?: [string, any][],
 *   danger?: boolean, more?: any}} options
 * @returns {Promise<boolean>}
 */
export const confirmAction = async ({
  title,
  text,
  verb,
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
      ${typeof more === 'function' ? more(close) : more}
      <div class="row">
        <button type="button" class="btn" autofocus onClick=${() => close(false)}>
          ${T.cancel}
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
  const dialog = current.value;
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (!dialog) return undefined;
    const focused = document.activeElement;
    box.current.showModal();
    box.current.querySelector('[autofocus]')?.focus();
    return () => {
      if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
    };
  }, [dialog]);
  if (!dialog) return null;
  const close = (value) => {
    if (current.value === dialog) current.value = null;
    dialog.done(value);
  };
  return html`
    <dialog
      ref=${box}
      key=${dialog.title}
      class=${dialog.wide ? 'wide' : ''}
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
        <h2 id="dialog-title">${dialog.title}</h2>
        ${dialog.body(close)}
      </div>
    </dialog>
  `;
}
