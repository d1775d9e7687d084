// Toasts: short messages at the edge of the page, with Undo where an action can be undone.
import { html, signal } from '../lib.js';
import * as T from '../strings.js';

const toasts = signal(/** @type {any[]} */ ([]));
const TOAST_DURATION = 6;
let last = 0;

/**
 * @param {string} text
 * @param {{undo?: () => void, link?: [string, string], action?: [string, () => void], bad?: boolean}}
 *   more link: URL and text; action: text of a button and what it does
 */
export function toast(text, more = {}) {
  last += 1;
  const one = { id: last, text, ...more };
  toasts.value = [...toasts.value.slice(-3), one];
  setTimeout(() => dismiss(one), TOAST_DURATION * 1000 * (more.bad ? 2 : 1));
}

const dismiss = (one) => {
  toasts.value = toasts.value.filter((each) => each !== one);
};

/** Shows the error of a request. @param {any} problem */
export const toastProblem = (problem) =>
  toast([problem.message, problem.hint].filter(Boolean).join(': '), { bad: true });

export const Toasts = () => html`
  <div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(
      (one) => html`
        <div class=${`toast${one.bad ? ' bad' : ''}`} key=${one.id}>
          <span>${one.text}</span>
          ${one.link && html`<a href=${one.link[0]}>${one.link[1]}</a>`}
          ${[one.undo && [T.undo, one.undo], one.action].filter(Boolean).map(
            ([label, run]) => html`
              <button
                type="button"
                onClick=${() => {
                  dismiss(one);
                  run();
                }}
              >
                ${label}
              </button>
            `,
          )}
        </div>
      `,
    )}
  </div>
`;
