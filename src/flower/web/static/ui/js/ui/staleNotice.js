// What is shown of figures that are not current: one notice per page, and the time of the figures.

import { visible } from '../format/text.js';
import { moment } from '../format/time.js';
import { html } from '../lib.js';
import { interruption } from '../recorderStatus.js';
import * as T from '../strings.js';
import { Icon } from './icons.js';

/** The condition because of which figures of workers and queues are not current; null without one. */
export function StaleNotice() {
  const found = interruption.value;
  return (
    found &&
    html`
      <p class="stale-note" role="status">
        <${Icon} name="failures" />
        <span><b>${visible(found.text)}.</b> ${T.stale.text}</span>
      </p>
    `
  );
}

/** The time of figures that are not current. @param {{at: number | null | undefined}} props */
export const AsOf = ({ at }) =>
  at != null && html`<span class="muted small as-of">${T.stale.asOf(moment(at))}</span>`;

/** The class of a part of the page whose figures are not current. */
export const staleClass = () => (interruption.value ? 'stale' : '');
