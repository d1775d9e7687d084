// Attempts over time, one lane each: a thin line is waiting, dashes are the retry delay, a block is
// running.

import { duration } from '../format/numbers.js';
import { clock, hover } from '../format/time.js';
import { html } from '../lib.js';
import { T } from '../strings.js';
import { buildTimeline } from './attempts.js';

const TICKS = innerWidth < 600 ? 2 : 4;
/** Factor of the time span that leaves room for the label after the last block. */
const LABEL_ROOM = innerWidth < 600 ? 1.7 : 1.24;

export const TimelineLegend = () => html`
  <div class="legend">
    <span>
      <i class="ln wait"></i>
      ${T.task.waiting}
    </span>
    <span>
      <i class="ln back"></i>
      ${T.task.backoff}
    </span>
    <span>
      <i class="run"></i>
      ${T.task.runningLegend}
    </span>
    <span>
      <i class="fail"></i>
      ${T.task.failedLegend}
    </span>
  </div>
`;

/** @param {{task: any, now: number}} props */
export function Timeline({ task, now }) {
  const chart = buildTimeline(task, now);
  if (!chart) return html`<p class="muted pad16">${T.task.noTimes}</p>`;
  const span = (chart.end - chart.start || 0.001) * LABEL_ROOM;
  const x = (t) => (100 * (t - chart.start)) / span;
  return html`
    <div class="wf" role="group" aria-label=${T.task.timelineLabel(chart.lanes.length)}>
      <div class="ax" aria-hidden="true">
        ${Array.from(
          { length: TICKS + 1 },
          (_, i) => html`
            <span
              style=${{ left: `${(i * 100) / (TICKS + 1)}%` }}
              title=${hover(chart.start + (span * i) / (TICKS + 1))}
            >
              ${i ? `+${duration((span * i) / (TICKS + 1))}` : clock(chart.start)}
            </span>
          `,
        )}
      </div>
      ${chart.lanes.map((lane) => {
        const outcome = lane.state
          ? (T.task.outcomes[lane.state] ?? lane.state.toLowerCase())
          : T.task.inProgress;
        const delay = lane.pieces.find((piece) => piece.kind === 'wait' || piece.kind === 'back');
        const run = lane.pieces.find((piece) => piece.kind === 'run' || piece.kind === 'fail');
        const label = [run && duration(lane.ran ?? run.to - run.from), outcome]
          .filter(Boolean)
          .join(', ');
        return html`
          <div class="lane">
            <span>
              ${T.task.attempt(lane.number + 1)}
              ${lane.pid != null && html`<span class="muted"> · ${T.task.pid(lane.pid)}</span>`}
            </span>
            <div class="tr">
              ${lane.pieces.map(
                (piece) => html`
                  <i
                    class=${`${piece.kind}${piece.open ? ' open' : ''}`}
                    style=${{
                      left: `${x(piece.from)}%`,
                      width: `${x(piece.to) - x(piece.from)}%`,
                    }}
                    title=${[
                      `${clock(piece.from, true)} – ${clock(piece.to, true)}`,
                      duration(piece.to - piece.from),
                    ].join(' · ')}
                  ></i>
                `,
              )}
              <em
                class=${lane.state === 'FAILURE' ? 'bad' : ''}
                style=${{ left: `${x(lane.end)}%` }}
              >
                <span class="vh">
                  ${
                    delay
                      ? `${delay.kind === 'wait' ? T.task.waiting : T.task.backoff} ` +
                        `${duration(delay.to - delay.from)}, `
                      : ''
                  }
                </span>
                ${label}
              </em>
            </div>
          </div>
        `;
      })}
    </div>
  `;
}
