// The page of one queue: current state, consumers, history.

import { get } from '../api.js';
import { histogramRates } from '../bucketRates.js';
import { compact, duration, int, rate } from '../format/numbers.js';
import { line } from '../format/text.js';
import { isUnsampled } from '../gaps.js';
import { html } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { withPresentState } from '../queue/history.js';
import {
  ArrivalRate,
  DepartureRate,
  Depth,
  OldestMessageAge,
  Ready,
  TimeToEmpty,
  Unacked,
} from '../queue/tableCells.js';
import {
  FIGURE_INTERVAL,
  QUEUE_INTERVAL,
  SAMPLE_INTERVAL,
  useRefreshTimer,
} from '../refreshTimer.js';
import { encodeSegment, href, searchAddress, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { ChartWithTable } from '../ui/chart.js';
import { CopyButton, Fact, Legend, quoteValue, Segmented, WorkerLink } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { OptionalValue } from '../ui/operationsComponents.js';
import { Loaded, Panel } from '../ui/panels.js';
import { StaleNotice } from '../ui/staleNotice.js';
import { useResource } from '../useResource.js';
import { WorkerStatus } from '../worker/status.js';

const Q = T.queues;
const RANGES = ['-1h', '-6h', '-24h', '-7d', '-30d'];

export default function Queue({ id, query }) {
  const range = RANGES.includes(query.get('t') ?? '') ? query.get('t') : '-6h';
  const queues = useResource((signal) => get('queues', {}, { signal }), [], {
    every: QUEUE_INTERVAL,
  });
  useLiveStream({ topics: ['status'] }, { reset: queues.reload });
  const crumb = html`
    <nav class="crumb" aria-label=${Q.crumb}>
      <a href=${href('queues')}>${Q.crumb}</a>
    </nav>
  `;
  const q = `queue:=${quoteValue(id)}`;
  return html`
    <${Page}
      title=${id}
      crumb=${crumb}
      actions=${html`
        <a class="btn" href=${searchAddress(`${q} state:PENDING`)}>
          <${Icon} name="clock" />
          <span>${Q.oldestWaiting}</span>
        </a>
        <a class="btn" href=${searchAddress(q)}>
          <${Icon} name="tasks" />
          <span>${T.viewTasks}</span>
        </a>
      `}
    >
      <div class="wrap">
        <${StaleNotice} />
        <section
          class=${`panel ${queues.data?.problem ? 'stale' : ''}`}
          aria-label=${Q.currentState}
        >
          <div class="headline">
            <h1>${line(id, 200)}</h1>
            <${CopyButton} text=${id} what=${Q.columns.queue} />
          </div>
          <${Loaded} of=${queues}>
            ${(data) => html`<${CurrentState} of=${data.queues.find((each) => each.name === id)} />`}
          </${Loaded}>
        </section>
        <${Loaded} of=${queues}>
          ${(data) => html`<${Consumers} of=${data.queues.find((each) => each.name === id)} />`}
        </${Loaded}>
        <div class="between">
          <${Segmented}
            label=${T.ops.since}
            items=${RANGES.map((key) => [key, T.ops.ranges[key]])}
            value=${range}
            onPick=${(key) => setQuery({ t: key === '-6h' ? '' : key })}
          />
        </div>
        <${History}
          id=${id}
          range=${range}
          queue=${
            queues.data?.problem ? null : queues.data?.queues.find((each) => each.name === id)
          }
        />
        <${Rates} q=${q} range=${range} />
      </div>
    </${Page}>
  `;
}

function CurrentState({ of }) {
  if (!of) return html`<p class="pad">${Q.notFound}</p>`;
  const C = Q.columns;
  const H = Q.hints;
  const fact = (key, Cell) => html`
    <${Fact} name=${html`<span title=${H[key]}>${C[key]}</span>`}>
      <${Cell} of=${of} />
    </${Fact}>
  `;
  return html`
    <dl class="facts">
      ${fact('depth', Depth)}
      ${fact('ready', Ready)}
      ${fact('unacked', Unacked)}
      ${fact('oldest', OldestMessageAge)}
      ${fact('in', ArrivalRate)}
      ${fact('out', DepartureRate)}
      ${fact('emptyIn', TimeToEmpty)}
      <${Fact} name=${html`<span title=${H.consumers}>${C.consumers}</span>`}>
        <${OptionalValue} value=${of.workers.length || of.consumers} show=${int} why=${Q.noConsumersText} />
      </${Fact}>
    </dl>
  `;
}

function Consumers({ of }) {
  const refresh = useRefreshTimer(FIGURE_INTERVAL, FIGURE_INTERVAL);
  const workers = useResource((signal) => get('workers', {}, { signal }), [refresh]);
  const known = new Map((workers.data?.workers ?? []).map((each) => [each.name, each]));
  return html`
    <${Panel} title=${Q.consumers}>
      ${
        of?.workers.length
          ? html`
            <ul class="consumer-list">
              ${of.workers.map(
                (name) => html`
                  <li key=${name}>
                    <span class="nm">
                      <${WorkerLink} name=${name} />
                    </span>
                    <${WorkerStatus} of=${known.get(name) ?? null} />
                  </li>
                `,
              )}
            </ul>
          `
          : html`<p class="pad muted">${Q.noConsumersText}</p>`
      }
      ${
        of?.consumers != null && html`<p class="pad muted small">${Q.brokerCount(of.consumers)}</p>`
      }
    </${Panel}>
  `;
}

/** Recorded samples over time, until now. */
function History({ id, range, queue }) {
  const history = useResource(
    (signal) =>
      get(`queues/${encodeSegment(id)}/history`, { start: range, buckets: 180 }, { signal }),
    [id, range],
    { every: SAMPLE_INTERVAL },
  );
  return html`
    <${Loaded} of=${history}>
      ${(recorded) => {
        const { width } = recorded;
        const buckets = withPresentState(recorded, queue);
        if (!buckets.length)
          return html`
            <${Panel} title=${Q.depthChart}>
              <p class="pad muted">${Q.historyNone}</p>
            </${Panel}>
          `;
        const at = buckets.map((each) => each.start_at);
        const all = (field) => buckets.map((each) => each[field]);
        const hasValues = (field) => buckets.some((each) => each[field] != null);
        const messages = [
          ['ready_max', Q.readyMax, '--c-other'],
          ['ready_avg', Q.readyAvg, '--c-p95'],
          ['unacked_max', Q.unackedMax, '--c-p50'],
        ].filter(([field]) => hasValues(field));
        return html`
          <div class="stack">
            <${Lines}
              title=${Q.depthChart}
              at=${at}
              lines=${messages.map(([field, label, color]) => ({
                label,
                color,
                values: all(field),
              }))}
              width=${width}
              format=${compact}
              height=${190}
              affects=${isUnsampled}
            />
            <div class="halves">
              ${
                hasValues('oldest_message_age_max') &&
                html`
                  <${Lines}
                    title=${Q.oldestChart}
                    at=${at}
                    lines=${[{ label: Q.oldestMax, color: '--c-p95', values: all('oldest_message_age_max') }]}
                    width=${width}
                    format=${duration}
                    affects=${isUnsampled}
                  />
                `
              }
              ${
                hasValues('consumers_min') &&
                html`
                  <${Lines}
                    title=${Q.consumersChart}
                    at=${at}
                    lines=${[
                      {
                        label: Q.consumersMin,
                        color: '--c-ok',
                        values: all('consumers_min'),
                      },
                    ]}
                    width=${width}
                    format=${int}
                    affects=${isUnsampled}
                  />
                `
              }
            </div>
          </div>
        `;
      }}
    </${Loaded}>
  `;
}

/** 0 where tasks of the other kind only are recorded. */
const valuesAt = (times, rates) => times.map((at) => (rates.has(at) ? rates.get(at) : 0));

/** Rates of sent and started tasks, from events. */
function Rates({ q, range }) {
  const read = (time, signal) =>
    get('histogram', { query: q, start: range, time, buckets: 120 }, { signal });
  const refresh = useRefreshTimer(20);
  const rates = useResource(
    (signal) => Promise.all([read('sent', signal), read('started', signal)]),
    [q, range, refresh],
  );
  return html`
    <${Loaded} of=${rates}>
      ${(both) => {
        const [sent, started] = both.map((each) => histogramRates(each));
        const times = [...new Set([...sent.keys(), ...started.keys()])].sort((a, b) => a - b);
        if (!times.length)
          return html`
            <${Panel} title=${Q.ratesChart}>
              <p class="pad muted">${Q.ratesNone}</p>
            </${Panel}>
          `;
        return html`
          <${Lines}
            title=${Q.ratesChart}
            at=${times}
            lines=${[
              { label: Q.in, color: '--c-p95', values: valuesAt(times, sent) },
              {
                label: Q.out,
                color: '--c-ok-line',
                values: valuesAt(times, started),
              },
            ]}
            width=${both[0].span?.width ?? both[1].span?.width ?? 0}
            format=${rate}
          />
        `;
      }}
    </${Loaded}>
  `;
}

function Lines({ title, at, lines, width, format, height = 150, affects = undefined }) {
  return html`
    <${Panel}
      title=${title}
      end=${
        lines.length > 1 &&
        html`
          <span class="legend-in">
            <${Legend} items=${lines.map((each) => [each.color, each.label])} />
          </span>
        `
      }
    >
      <div class="chart charted">
        <${ChartWithTable}
          data=${[at, ...lines.map((each) => each.values)]}
          series=${lines.map(({ label, color }) => ({
            label,
            color,
            fill: lines.length === 1,
          }))}
          height=${height}
          format=${format}
          bucket=${width}
          label=${title}
          affects=${affects}
        />
      </div>
    </${Panel}>
  `;
}
