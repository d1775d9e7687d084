// Parts of the pages about failures: title of a group, how it stands, what can be done to it.

import { line } from '../format/text.js';
import { moment } from '../format/time.js';
import { html } from '../lib.js';
import { T } from '../strings.js';

const TONES = { new: 'bad', returning: 'bad', open: '', resolved: 'good', muted: 'off' };

/** Exception without its module, and message. @param {any} fingerprint @param {number} most */
export const failureTitle = ({ exception, message }, most = 200) =>
  line(
    [(exception ?? '').split('.').pop() || T.failures.unknown, message].filter(Boolean).join(': '),
    most,
  );

/** @param {{s: string}} props */
export const StatusTag = ({ s }) =>
  html`<span class=${`tag ${TONES[s] ?? ''}`}>${T.failures.status[s] ?? s}</span>`;

/** Who said it, and until when. @param {{of: any, status: string}} props */
export function StatusNote({ of, status }) {
  if (!of || !['resolved', 'muted', 'returning'].includes(status)) return null;
  const who = of.by ? line(of.by, 60) : T.failures.somebody;
  const words =
    status === 'muted'
      ? T.failures.mutedBy(who, of.until == null ? '' : moment(of.until))
      : T.failures.resolvedBy(who, moment(of.at));
  return html`
    <span class="muted small">
      ${words}
      ${of.comment ? `: ${line(of.comment, 300)}` : ''}
    </span>
  `;
}
