// What is shown of gaps beside charts and lists: a note with the list of gaps, and the action to dismiss
// one.

import { post } from '../api.js';
import { denialReason } from '../currentUser.js';
import { visible } from '../format/text.js';
import { findGaps, gapInterval, gaps, gapText } from '../gaps.js';
import { html } from '../lib.js';
import { reloadStatus } from '../liveStream.js';
import { address, encodeSegment } from '../router.js';
import * as T from '../strings.js';
import { Popover } from './menu.js';
import { toast, toastProblem } from './toast.js';

const change = (gap, action) =>
  post(`gaps/${encodeSegment(gap.id)}/${action}`).then(() => {
    reloadStatus();
  });

/** Hides a gap from charts and lists, with Undo. @param {any} gap @param {() => void} done */
export const dismissGap = (gap, done = () => {}) =>
  change(gap, 'dismiss').then(() => {
    toast(T.gaps.dismissed, { undo: () => restoreGap(gap, done) });
    done();
  }, toastProblem);

/** @param {any} gap @param {() => void} done */
export const restoreGap = (gap, done = () => {}) => change(gap, 'restore').then(done, toastProblem);

/** @param {{gap: any, done?: () => void}} props */
export function DismissButton({ gap, done }) {
  if (!gap.id || gap.isOpen) return null;
  const why = denialReason('tasks');
  return html`
    <button
      type="button"
      class="btn"
      disabled=${!!why}
      title=${why || T.gaps.dismissHint}
      onClick=${() => dismissGap(gap, done)}
    >
      ${T.gaps.dismiss}
    </button>
  `;
}

/** Gaps with their reasons. @param {{of: any[], close?: () => void}} props */
export const GapList = ({ of, close }) => html`
  <ul class="gap-list">
    ${of
      .map(
        (gap) => html`
          <li key=${gap.from + gap.cause}>
            <div>
              <b>${gapInterval(gap)}</b>
              <p>
                ${visible(gap.reason)}
                ${gap.worker && html`<br />${T.gaps.onlyWorker(visible(gap.worker))}`}
              </p>
            </div>
            <${DismissButton} gap=${gap} done=${close} />
          </li>
        `,
      )
      .toReversed()}
  </ul>
`;

/**
 * A note that events may be missing, which opens the list of these gaps; null without gaps.
 * @param {{of: any[]}} props
 */
export function GapNote({ of }) {
  if (!of.length) return null;
  const [gap] = of;
  const text = of.length === 1 ? T.gaps.note(gapInterval(gap)) : T.gaps.notes(of.length);
  return html`
    <div class="gap-note" title=${of.length === 1 ? visible(gapText(gap)) : null}>
      <${Popover} label=${T.gaps.title} text=${html`<i class="hatch" aria-hidden="true"></i>${text}`}>
        ${(close) => html`
          <div class="pad">
            <p class="muted small">${T.gaps.text}</p>
            <${GapList} of=${of} close=${close} />
            <a class="link small" href=${address('settings', { show: 'gaps' })}>${T.gaps.all}</a>
          </div>
        `}
      </${Popover}>
    </div>
  `;
}

/**
 * The note for the gaps in an interval.
 * @param {{from: number, to: number, affects?: (gap: any) => boolean}} props
 */
export const RangeGapNote = ({ from, to, affects = () => true }) =>
  html`<${GapNote} of=${findGaps(gaps.value, from, to).filter(affects)} />`;
