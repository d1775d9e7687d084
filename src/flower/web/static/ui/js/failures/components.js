// Components of the failure pages: title, status and note of a group.

import { line } from '../format/text.js';
import { moment } from '../format/time.js';
import { html } from '../lib.js';
import * as T from '../strings.js';

const TONES = { new: 'bad', regressed: 'bad', open: '', resolved: 'good', muted: 'off' };

/** Exception class and message. @param {any} fingerprint @param {number} maxLength */
export const failureTitle = ({ exception, message }, maxLength = 200) =>
  line(
    [(exception ?? '').split('.').pop() || T.failures.unknown, message].filter(Boolean).join(': '),
    maxLength,
  );

/** @param {{status: string}} props */
export const StatusTag = ({ status }) =>
  html`<span class=${`tag ${TONES[status] ?? ''}`}>${T.failures.status[status] ?? status}</span>`;

/** Who resolved or muted the group, and until when. @param {{of: any, status: string}} props */
export function StatusNote({ of, status }) {
  if (!of || !['resolved', 'muted', 'regressed'].includes(status)) return null;
  const user = of.created_by ? line(of.created_by, 60) : T.anonymous;
  const text =
    status === 'muted'
      ? T.failures.mutedBy(user, of.expires_at == null ? '' : moment(of.expires_at))
      : T.failures.resolvedBy(user, moment(of.created_at));
  return html`
    <span class="muted small">
      ${text}
      ${of.comment ? `: ${line(of.comment, 300)}` : ''}
    </span>
  `;
}
