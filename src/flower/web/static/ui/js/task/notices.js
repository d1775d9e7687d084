// Notices above the facts of a task: a state that is not proven, attempts at the same time, clocks that
// differ, gaps in the recording.

import { duration } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { age, clock, full } from '../format/time.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
import { TaskState, WorkerLink } from '../ui/components.js';
import { GapNote } from '../ui/gapNote.js';
import { Icon } from '../ui/icons.js';
import { Panel } from '../ui/panels.js';
import { RerunButton } from './actions.js';
import { findDoubleRun } from './attempts.js';
import { findOffsets } from './clockOffset.js';

/** Why the state is not known, what was queried, and what to do. */
function LostPanel({ task, now, reload }) {
  const { lost } = task;
  return html`
    <${Panel}
      title=${T.lost.title(full(lost.since_at))}
      cls="lost-panel"
      end=${html`<span class="muted small">${age(lost.since_at, now)}</span>`}
    >
      <div class="pad">
        <p>${visible(lost.detail)}</p>
        <dl class="meta">
          <dt>${T.lost.lastState}</dt>
          <dd class="states">
            <${TaskState} state=${task.state} />
            ${
              task.worker &&
              html`
                <span>
                  ${T.lost.on} <${WorkerLink} name=${task.worker} />
                </span>
              `
            }
          </dd>
          <dt>${T.lost.queried}</dt>
          <dd>
            ${lost.queried?.length ? lost.queried.map((each) => line(each, 60)).join(', ') : T.lost.nothingQueried}
          </dd>
        </dl>
        <p class="muted">${T.lost.advice[lost.reason] ?? T.lost.advice.end_not_observed}</p>
        <${RerunButton} task=${task} reload=${reload} />
      </div>
    </${Panel}>
  `;
}

const startedText = ({ started_at: at }) => (at == null ? '' : ` ${T.task.since(clock(at))}`);

function DoubleRun({ attempts, isNow }) {
  return html`
    <div class="notice warn" role="status">
      <${Icon} name="failures" />
      <div>
        <b>${isNow ? T.doubleRun.title : T.task.wasDoubleRun}</b>
        <p>
          ${attempts.map(
            (each, i) => html`
              ${i > 0 && T.task.and}${T.task.attempt(each.ordinal)} ${T.lost.on}${' '}
              <${WorkerLink} name=${each.worker} />${startedText(each)}
            `,
          )}. ${T.task.doubleRunText}
        </p>
      </div>
    </div>
  `;
}

function Clocks({ offsets, isRaw, onRaw }) {
  return html`
    <div class="notice" role="status">
      <${Icon} name="clock" />
      <div>
        <p>
          ${offsets.map(
            ([name, seconds], i) => html`
              ${i > 0 && ' '}
              ${T.task.clockOffset(
                line(name, 80) || T.task.theSender,
                duration(Math.abs(seconds)),
                seconds > 0,
              )}
            `,
          )}
          ${' '}${isRaw ? T.task.timesRaw : T.task.timesCorrected}
        </p>
      </div>
      <button type="button" class="btn quiet" aria-pressed=${isRaw ? 'true' : 'false'} onClick=${onRaw}>
        ${isRaw ? T.task.showCorrected : T.task.showRaw}
      </button>
    </div>
  `;
}

/**
 * @param {{task: any, now: number, gaps: any[], isRaw: boolean, onRaw: () => void, reload: () => void}}
 *   props task: with the times that are shown; isRaw: they are those of the senders' clocks
 */
export function Notices({ task, now, gaps, isRaw, onRaw, reload }) {
  const double = findDoubleRun(task);
  const offsets = findOffsets(task);
  return html`
    ${task.lost && html`<${LostPanel} task=${task} now=${now} reload=${reload} />`}
    ${double.attempts.length > 0 && html`<${DoubleRun} ...${double} />`}
    ${offsets.length > 0 && html`<${Clocks} offsets=${offsets} isRaw=${isRaw} onRaw=${onRaw} />`}
    <${GapNote} of=${gaps} />
  `;
}
