// The queues page: messages, rates and consumers of all queues.

import { get } from '../api.js';
import { int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { age, moment } from '../format/time.js';
import { html, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import {
  ArrivalRate,
  DepartureRate,
  Depth,
  OldestMessageAge,
  queueDepth,
  Ready,
  TimeToEmpty,
  Unacked,
} from '../queue/tableCells.js';
import { interruption } from '../recorderStatus.js';
import { QUEUE_INTERVAL } from '../refreshTimer.js';
import { encodeSegment, href, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { Meter, WorkerLink } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { EmptyState, Loaded } from '../ui/panels.js';
import { StaleNotice } from '../ui/staleNotice.js';
import { useResource } from '../useResource.js';

const Q = T.queues;
const SHOWN = 3;

export default function Queues({ query }) {
  const queues = useResource((signal) => get('queues', {}, { signal }), [], {
    every: QUEUE_INTERVAL,
  });
  const serverSettings = useResource((signal) => get('settings', {}, { signal }), []);
  useLiveStream({ topics: ['status'] }, { reset: queues.reload });
  return html`
    <${Page} title=${T.pages.queues}>
      <div class=${`wrap ${queues.data?.problem ? 'stale' : ''}`}>
        <${StaleNotice} />
        ${
          queues.data?.problem &&
          !interruption.value &&
          html`
            <p class="stale-note" role="status">
              <${Icon} name="failures" />
              <span><b>${line(queues.data.problem, 200)}</b> ${Q.lastSamples}</span>
            </p>
          `
        }
        ${
          serverSettings.data &&
          html`
            <p class="broker muted">
              ${Q.broker}${' '}
              <span class="mono">
                ${serverSettings.data.broker_url ? line(serverSettings.data.broker_url, 200) : Q.brokerUnknown}
              </span>
              ${
                queues.data &&
                html` · ${
                  queues.data.problem
                    ? T.stale.asOf(moment(queues.data.sampled_at))
                    : Q.updated(age(queues.data.sampled_at))
                }`
              }
            </p>
          `
        }
        <${Loaded} of=${queues}>
          ${(data) =>
            data.queues.length
              ? html`<${Table} queues=${data.queues} query=${query} />`
              : html`
                <${EmptyState}
                  title=${Q.noneTitle}
                  actions=${html`<a class="btn" href=${href('workers')}>
                      ${T.pages.workers}
                    </a>`}
                >
                  <p>${Q.noneText}</p>
                </${EmptyState}>
              `}
        </${Loaded}>
      </div>
    </${Page}>
  `;
}

function Table({ queues, query }) {
  const [text, setText] = useState(query.get('q') ?? '');
  const matching = queues
    .filter((each) => each.name.toLowerCase().includes(text.trim().toLowerCase()))
    .sort(
      (a, b) =>
        (queueDepth(b) ?? b.ready ?? -1) - (queueDepth(a) ?? a.ready ?? -1) ||
        a.name.localeCompare(b.name),
    );
  const maxReady = Math.max(1, ...matching.map((each) => each.ready ?? 0));
  const H = Q.hints;
  const C = Q.columns;
  const type = (event) => {
    setText(event.target.value);
    setQuery({ q: event.target.value.trim() }, { replace: true });
  };
  return html`
    <section class="panel" aria-label=${T.pages.queues}>
      ${
        queues.length > 8 &&
        html`
          <header class="tools">
            <input
              class="field find"
              type="search"
              value=${text}
              onInput=${type}
              aria-label=${T.ops.filter}
              placeholder=${T.ops.filter}
            />
          </header>
        `
      }
      <div class="scroll">
        <table class="t">
          <thead>
            <tr>
              <th>${C.queue}</th>
              <th class="right" title=${H.depth}>
                ${C.depth}
              </th>
              <th class="right" title=${H.ready}>
                ${C.ready}
              </th>
              <th class="bars">
                <span class="vh">${Q.share}</span>
              </th>
              <th class="right" title=${H.unacked}>
                ${C.unacked}
              </th>
              <th class="right" title=${H.in}>
                ${C.in}
              </th>
              <th class="right" title=${H.out}>
                ${C.out}
              </th>
              <th class="right" title=${H.oldest}>
                ${C.oldest}
              </th>
              <th class="right" title=${H.emptyIn}>
                ${C.emptyIn}
              </th>
              <th title=${H.consumers}>${C.consumers}</th>
            </tr>
          </thead>
          <tbody>
            ${matching.map((each) => html`<${Row} of=${each} maxReady=${maxReady} key=${each.name} />`)}
          </tbody>
        </table>
      </div>
    </section>
  `;
}

function Row({ of, maxReady }) {
  return html`
    <tr>
      <td class="nm trunc name">
        <a class="link" href=${href(`queues/${encodeSegment(of.name)}`)} title=${line(of.name)}>
          ${line(of.name, 120)}
        </a>
      </td>
      <td class="right">
        <${Depth} of=${of} />
      </td>
      <td class="right">
        <${Ready} of=${of} />
      </td>
      <td class="bars">
        ${
          of.ready != null &&
          html`
            <${Meter}
              part=${of.ready / maxReady}
              tone=${of.growing ? 'bad' : ''}
              label=${`${int(of.ready)} ${Q.columns.ready}`}
            />
          `
        }
      </td>
      <td class="right">
        <${Unacked} of=${of} />
      </td>
      <td class="right">
        <${ArrivalRate} of=${of} />
      </td>
      <td class="right">
        <${DepartureRate} of=${of} />
      </td>
      <td class="right">
        <${OldestMessageAge} of=${of} />
      </td>
      <td class="right">
        <${TimeToEmpty} of=${of} />
      </td>
      <td class="consumers">
        <${Consumers} of=${of} />
      </td>
    </tr>
  `;
}

function Consumers({ of }) {
  if (!of.workers.length)
    return of.consumers == null
      ? html`
        <span class="warn" title=${Q.noConsumersText}>
          ${Q.noConsumers}
        </span>
      `
      : of.consumers
        ? int(of.consumers)
        : html`
          <span class="warn" title=${Q.noConsumersText}>
            ${Q.noConsumers}
          </span>
        `;
  return html`
    <span class="muted">${of.workers.length}</span>${' '}
    ${of.workers.slice(0, SHOWN).map(
      (name, at) => html`
        ${at ? ', ' : ''}
        <${WorkerLink} name=${name} short />
      `,
    )}
    ${
      of.workers.length > SHOWN &&
      html`
        ${' '}
        <span class="muted">${Q.moreWorkers(of.workers.length - SHOWN)}</span>
      `
    }
  `;
}
