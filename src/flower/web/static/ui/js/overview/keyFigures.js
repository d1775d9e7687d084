// The six key figures with their trends, compared with the previous period.

import { compact, duration, int } from '../format/numbers.js';
import { moment } from '../format/time.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
import { KeyFigure } from '../ui/components.js';
import { carryForward } from './series.js';

const THIN = '\u202f';

/** The number and its unit. @param {string} text */
const splitUnit = (text) => {
  const [value, unit, ...rest] = text.split(THIN);
  return rest.length || unit === undefined ? [text, ''] : [value, unit];
};

/** The relative change: `+3 %`; '' without a previous value. */
function formatChange(now, before) {
  if (now == null || !before) return '';
  const ratio = (now - before) / before;
  const text =
    Math.abs(ratio) >= 9.995
      ? `×${(now / before).toFixed(0)}`
      : `${Math.abs(ratio * 100).toFixed(Math.abs(ratio) < 0.1 ? 1 : 0)}${THIN}%`;
  return Math.abs(ratio) < 0.0005
    ? ''
    : Math.abs(ratio) >= 9.995
      ? text
      : `${ratio > 0 ? '+' : '−'}${text}`;
}

/** Factor ratio which a value must rise to be highlighted. */
const WORSE_FACTOR = 1.25;
const comparisonTone = (now, before, worst = 'warn') =>
  now != null && before && now > before * WORSE_FACTOR ? worst : '';

const finishedCount = (total) =>
  total ? (total.states.SUCCESS ?? 0) + (total.states.FAILURE ?? 0) : null;

/**
 * @param {{total: any, before: any, series: any, seconds: number, queues: any[] | null, backlog:
 *   number[], slots: {busy: number, all: number | null, workers: number} | null, staleSince: number |
 *   null, queuesAt: number | null}} props
 * total, before: of `GET /stats`, for this period and the previous one; seconds: length of the period;
 * staleSince, queuesAt: time of the figures of workers and queues that are not current
 */
export function KeyFigures({
  total,
  before,
  series,
  seconds,
  queues,
  backlog,
  slots,
  staleSince,
  queuesAt,
}) {
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
          trend=${carryForward(series?.done ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.failureRate}
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
          trend=${carryForward(series?.errors ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.runtimeP95}
          value=${p95}
          unit=${p95Unit}
          note=${formatChange(total?.runtime.p95, before?.runtime.p95)}
          tone=${comparisonTone(total?.runtime.p95, before?.runtime.p95)}
          trend=${carryForward(series?.p95 ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.waitP95}
          value=${wait}
          unit=${waitUnit}
          note=${formatChange(total?.wait.p95, before?.wait.p95)}
          tone=${comparisonTone(total?.wait.p95, before?.wait.p95)}
          trend=${carryForward(series?.wait ?? [])}
        />
        <${KeyFigure}
          name=${T.overview.backlog}
          value=${waiting == null ? '–' : compact(waiting)}
          isStale=${queuesAt != null}
          note=${
            queuesAt != null
              ? T.stale.asOf(moment(queuesAt))
              : growing
                ? T.overview.queuesGrowing(growing)
                : queues
                  ? T.overview.queueCount(queues.length)
                  : ''
          }
          tone=${growing && queuesAt == null ? 'warn' : ''}
          trend=${backlog}
        />
        <${KeyFigure}
          name=${T.overview.busyProcesses}
          value=${slots ? int(slots.busy) : '–'}
          unit=${slots?.all ? `/ ${int(slots.all)}` : ''}
          isStale=${staleSince != null}
          note=${
            staleSince != null
              ? T.stale.asOf(moment(staleSince))
              : slots
                ? T.overview.workerCount(slots.workers)
                : ''
          }
        />
      </div>
    </section>
  `;
}
