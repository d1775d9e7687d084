// Attempts over time, one lane each: a thin line is waiting, dashes are the retry delay, a block is
// running, an outlined block has no known outcome, a hatched area is a gap in the recording.

import { duration } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { clock, hover } from '../format/time.js';
import { findGaps, gapText } from '../gaps.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
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

/** What is known of the end of an attempt. @param {import('./attempts.js').Lane} lane */
function outcomeText(lane) {
  if (lane.state) return T.task.outcomes[lane.state] ?? lane.state.toLowerCase();
  return lane.lost ? T.task.lostAttempt : T.task.inProgress;
}

/**
 * @param {{task: any, now: number, gaps?: any[], attempts?: any[] | null}} props gaps: those in the life
 *   of the task; attempts: of an earlier run, instead of those of the current one
 */
export function Timeline({ task, now, gaps = [], attempts = null }) {
  const chart = buildTimeline(task, now, attempts);
  if (!chart) return html`<p class="muted pad16">${T.task.noTimes}</p>`;
  const span = (chart.end - chart.start || 0.001) * LABEL_ROOM;
  const x = (t) => (100 * (t - chart.start)) / span;
  const marks = findGaps(gaps, chart.start, chart.end).map((gap) => {
    const left = Math.max(0, x(gap.from));
    return { gap, left, width: Math.max(0.4, Math.min(100, x(gap.to)) - left) };
  });
  const workers = new Set(chart.lanes.map((lane) => lane.worker).filter(Boolean));
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
        const outcome = outcomeText(lane);
        const delay = lane.pieces.find((piece) => piece.kind === 'wait' || piece.kind === 'back');
        const run = lane.pieces.find((piece) => ['run', 'fail'].includes(piece.kind));
        const label = [run && duration(lane.ran ?? run.to - run.from), outcome]
          .filter(Boolean)
          .join(', ');
        return html`
          <div class="lane">
            <span>
              ${T.task.attempt(lane.number)}
              ${
                workers.size > 1 && lane.worker
                  ? html`
                    <span class="muted" title=${visible(lane.worker)}>
                      ${' · '}${line(lane.worker.replace(/^celery@/, ''), 40)}
                    </span>
                  `
                  : lane.pid != null && html`<span class="muted"> · ${T.task.pid(lane.pid)}</span>`
              }
              ${lane.isRedelivered && html`<span class="vh"> ${T.task.redelivered}</span>`}
            </span>
            <div class="tr">
              ${marks.map(
                ({ gap, left, width }) => html`
                  <u
                    class="hatch"
                    style=${{ left: `${left}%`, width: `${width}%` }}
                    title=${visible(gapText(gap))}
                  ></u>
                `,
              )}
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
                class=${lane.state === 'FAILURE' ? 'bad' : lane.lost ? 'warn' : ''}
                title=${[lane.lost, lane.isRedelivered && T.task.redelivered].filter(Boolean).join('. ') || null}
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
