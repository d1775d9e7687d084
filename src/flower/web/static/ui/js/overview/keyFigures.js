// The six key figures, each with its trend, against the same length of time before.

import { compact, duration, int } from '../format/numbers.js';
import { html } from '../lib.js';
import { T } from '../strings.js';
import { KeyFigure } from '../ui/components.js';
import { carryForward } from './series.js';

const THIN = '\u202f';

/** Number and unit apart: the unit is smaller. @param {string} text */
const splitUnit = (text) => {
  const [value, unit, ...rest] = text.split(THIN);
  return rest.length || unit === undefined ? [text, ''] : [value, unit];
};

/** `+3 %`; '' where nothing is known to compare with. */
function formatChange(now, before) {
  if (now == null || !before) return '';
  const by = (now - before) / before;
  const text =
    Math.abs(by) >= 9.995
      ? `×${(now / before).toFixed(0)}`
      : `${Math.abs(by * 100).toFixed(Math.abs(by) < 0.1 ? 1 : 0)}${THIN}%`;
  return Math.abs(by) < 0.0005 ? '' : Math.abs(by) >= 9.995 ? text : `${by > 0 ? '+' : '−'}${text}`;
}

/** Figures are worse when they are this much higher than before. */
const WORSE_FACTOR = 1.25;
const comparisonTone = (now, before, worst = 'warn') =>
  now != null && before && now > before * WORSE_FACTOR ? worst : '';

const finishedCount = (total) =>
  total ? (total.states.SUCCESS ?? 0) + (total.states.FAILURE ?? 0) : null;

/**
 * @param {{total: any, before: any, shown: any, seconds: number, queues: any[] | null, backlog:
 *   number[], slots: {busy: number, all: number | null, workers: number} | null}} props
 * total, before: of `GET /stats`, for this time and the one before it; seconds: how long this time
 * is
 */
export function KeyFigures({ total, before, shown, seconds, queues, backlog, slots }) {
  const done = finishedCount(total);
  const doneBefore = finishedCount(before);
  const [through, throughUnit] = done == null ? ['–', ''] : [compact(done / seconds), '/s'];
  const points =
    before?.failure_rate != null && total?.failure_rate != null
      ? (total.failure_rate - before.failure_rate) * 100
      : null;
  const [p95, p95Unit] = splitUnit(duration(total?.runtime.p95));
  const [wait, waitUnit] = splitUnit(duration(total?.wait.p95));
  const waiting = queues ? queues.reduce((sum, each) => sum + (each.ready ?? 0), 0) : null;
  const growing = (queues ?? []).filter((each) => each.growing).length;
  return html`
    <section class="panel" aria-label=${T.overview.figures}>
      <h2 class="vh">${T.overview.figures}</h2>
      <div class="kpis" title=${before ? T.overview.comparedHint : null}>
        <${KeyFigure}
          name=${T.overview.throughput}
          value=${through}
          unit=${throughUnit}
          note=${formatChange(done, doneBefore)}
          trend=${carryForward(shown?.done ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.errorRate}
          value=${
            total?.failure_rate == null
              ? '–'
              : (total.failure_rate * 100).toFixed(total.failure_rate < 0.1 ? 2 : 1)
          }
          unit=${total?.failure_rate == null ? '' : '%'}
          note=${
            points == null || Math.abs(points) < 0.005
              ? ''
              : `${points > 0 ? '+' : '−'}${Math.abs(points).toFixed(2)}${THIN}${T.overview.points}`
          }
          tone=${comparisonTone(total?.failure_rate, before?.failure_rate, 'bad')}
          trend=${carryForward(shown?.errors ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.runtimeP95}
          value=${p95}
          unit=${p95Unit}
          note=${formatChange(total?.runtime.p95, before?.runtime.p95)}
          tone=${comparisonTone(total?.runtime.p95, before?.runtime.p95)}
          trend=${carryForward(shown?.p95 ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.waitP95}
          value=${wait}
          unit=${waitUnit}
          note=${formatChange(total?.wait.p95, before?.wait.p95)}
          tone=${comparisonTone(total?.wait.p95, before?.wait.p95)}
          trend=${carryForward(shown?.wait ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.backlog}
          value=${waiting == null ? '–' : compact(waiting)}
          note=${
            growing
              ? T.overview.queuesGrowing(growing)
              : queues
                ? T.overview.queueCount(queues.length)
                : ''
          }
          tone=${growing ? 'warn' : ''}
          trend=${backlog}
        />
        <${KeyFigure}
          name=${T.overview.busySlots}
          value=${slots ? int(slots.busy) : '–'}
          unit=${slots?.all ? `/ ${int(slots.all)}` : ''}
          note=${slots ? T.overview.workerCount(slots.workers) : ''}
        />
      </div>
    </section>
  `;
}
