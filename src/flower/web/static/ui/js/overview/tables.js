// The tables of the overview: queues by messages, task types, workers.

import { compact, duration, int, rate } from '../format/numbers.js';
import { line } from '../format/text.js';
import { span } from '../format/time.js';
import { html, useState } from '../lib.js';
import { interruption } from '../recorderStatus.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import * as T from '../strings.js';
import { Meter, quoteValue, Segmented, Sparkline, TaskName, WorkerLink } from '../ui/components.js';
import { OptionalValue, RelativeTime } from '../ui/operationsComponents.js';
import { Loaded, Panel } from '../ui/panels.js';
import { AsOf, staleClass } from '../ui/staleNotice.js';
import { isDown, latestLoad, Slots, statusDot, workerStatus } from '../worker/status.js';

const MAX_ROWS = 8;
/** Seconds of waiting after which the oldest message is highlighted. */
const LONG_WAIT = 300;

/** @param {any} queue a row of `GET /queues` */
function TimeToEmpty({ queue }) {
  if (queue.growing) return html`<span class="bad">${T.overview.growing}</span>`;
  if (queue.time_to_empty == null) return html`<${OptionalValue} value=${null} />`;
  return queue.time_to_empty < 1
    ? html`<span class="muted">${T.time.now}</span>`
    : span(queue.time_to_empty);
}

export function Queues({ of }) {
  return html`
    <${Panel}
      title=${T.pages.queues}
      cls=${of.data?.problem ? 'stale' : ''}
      end=${html`
        <${AsOf} at=${of.data?.problem ? of.data.sampled_at : null} />
        <a href=${href('queues')}>${T.overview.allQueues}</a>
      `}
    >
      <${Loaded} of=${of}>
        ${({ queues }) => {
          const rows = [...queues]
            .sort((a, b) => (b.ready ?? -1) - (a.ready ?? -1) || a.name.localeCompare(b.name))
            .slice(0, MAX_ROWS);
          const maxReady = Math.max(1, ...rows.map((each) => each.ready ?? 0));
          const c = T.overview.queue;
          if (!rows.length) return html`<p class="muted pad16">${T.overview.queuesNone}</p>`;
          return html`
            <div class="scroll" tabindex="0" role="group" aria-label=${T.pages.queues}>
              <table class="t">
                <thead>
                  <tr>
                    <th>${c.name}</th>
                    <th class="right">${c.waiting}</th>
                    <th class="meter-c">
                      <span class="vh">${c.share}</span>
                    </th>
                    <th class="right opt">${c.in}</th>
                    <th class="right opt">${c.out}</th>
                    <th class="right">${c.oldest}</th>
                    <th class="right">${c.timeToEmpty}</th>
                  </tr>
                </thead>
                <tbody>
                  ${rows.map((each) => {
                    const tone =
                      each.growing && each.ready >= 100 ? 'bad' : each.growing ? 'warn' : '';
                    return html`
                      <tr key=${each.name}>
                        <td class="nm">
                          <a href=${href(`queues/${encodeSegment(each.name)}`)}>
                            ${line(each.name, 60)}
                          </a>
                        </td>
                        <td class="right">
                          ${
                            each.ready
                              ? int(each.ready)
                              : html`<span class="muted">${each.ready ?? '–'}</span>`
                          }
                        </td>
                        <td class="meter-c">
                          <${Meter}
                            part=${Math.sqrt((each.ready ?? 0) / maxReady)}
                            tone=${tone}
                            label=${T.overview.messages(int(each.ready ?? 0))}
                          />
                        </td>
                        <td class="right muted opt">
                          <${OptionalValue} value=${each.arrivals_per_second} show=${rate} />
                        </td>
                        <td class="right muted opt">
                          <${OptionalValue} value=${each.departures_per_second} show=${rate} />
                        </td>
                        <td class=${`right${each.oldest_message_age > LONG_WAIT ? ' bad' : ''}`}>
                          <${OptionalValue} value=${each.oldest_message_age} show=${duration} />
                        </td>
                        <td class="right">
                          <${TimeToEmpty} queue=${each} />
                        </td>
                      </tr>
                    `;
                  })}
                </tbody>
              </table>
            </div>
          `;
        }}
      </${Loaded}>
    </${Panel}>
  `;
}

const slowest = (groups) =>
  groups.filter((each) => each.runtime.p95 != null).sort((a, b) => b.runtime.p95 - a.runtime.p95);

/**
 * @param {{of: any, trends: Record<string, number[]>, seconds: number, window: string}} props of:
 *   `GET /stats?group_by=name`; trends: by name; window: `t` of the tasks page
 */
export function Types({ of, trends, seconds, window: within }) {
  const [order, setOrder] = useState('busiest');
  const c = T.overview.type;
  const end = html`
    <${Segmented}
      label=${T.overview.order}
      items=${[['busiest', T.overview.busiest], ['slowest', T.overview.slowest]]}
      value=${order}
      onPick=${setOrder}
    />
    <a href=${href('tasks')}>${T.overview.allTasks}</a>
  `;
  return html`
    <${Panel} title=${T.overview.types} end=${end}>
      <${Loaded} of=${of}>
        ${({ groups }) => {
          const rows = (order === 'slowest' ? slowest(groups) : groups)
            .filter((each) => each.group != null)
            .slice(0, MAX_ROWS);
          if (!rows.length) return html`<p class="muted pad16">${T.overview.typesNone}</p>`;
          return html`
            <div class="scroll" tabindex="0" role="group" aria-label=${T.overview.types}>
              <table class="t">
                <thead>
                  <tr>
                    <th>${c.name}</th>
                    <th class="right">${c.rate}</th>
                    <th class="opt">
                      <span class="vh">${c.trend}</span>
                    </th>
                    <th class="right">${c.failureRate}</th>
                    <th class="right opt">p50</th>
                    <th class="right">p95</th>
                  </tr>
                </thead>
                <tbody>
                  ${rows.map((each) => {
                    const failureRate = each.failure_rate;
                    return html`
                      <tr key=${each.group}>
                        <td class="nm type-c">
                          <a
                            href=${searchAddress(`name:=${quoteValue(each.group)}`, { t: within })}
                            title=${line(each.group)}
                          >
                            <${TaskName} name=${each.group} />
                          </a>
                        </td>
                        <td class="right">${rate(each.count / seconds)}</td>
                        <td class="opt">
                          ${
                            trends[each.group]?.length > 0 &&
                            html`<${Sparkline} values=${trends[each.group]} />`
                          }
                        </td>
                        <td
                          class=${`right ${failureRate > 0.05 ? 'bad' : failureRate > 0.02 ? 'warn' : 'muted'}`}
                        >
                          <${OptionalValue} value=${failureRate} show=${(n) => `${compact(n * 100)}%`} />
                        </td>
                        <td class="right muted opt">${duration(each.runtime.p50)}</td>
                        <td class="right">${duration(each.runtime.p95)}</td>
                      </tr>
                    `;
                  })}
                </tbody>
              </table>
            </div>
          `;
        }}
      </${Loaded}>
    </${Panel}>
  `;
}

/**
 * @param {{of: any, inspections: any[]}} props of: `GET /workers`; inspections: of
 *   `GET /inspections`
 */
export function Workers({ of, inspections }) {
  const slots = new Map(inspections.map((each) => [each.name, each.concurrency]));
  const c = T.overview.worker;
  return html`
    <${Panel}
      title=${T.pages.workers}
      cls=${staleClass()}
      end=${html`
        <${AsOf} at=${interruption.value?.since} />
        <a href=${href('workers')}>${T.overview.allWorkers}</a>
      `}
    >
      <${Loaded} of=${of}>
        ${({ workers }) => {
          const shown = workers
            .filter((each) => each.online)
            .sort(
              (a, b) =>
                Number(isDown(b)) - Number(isDown(a)) ||
                (b.active ?? 0) - (a.active ?? 0) ||
                a.name.localeCompare(b.name),
            );
          if (!shown.length)
            return html`
              <p class="muted pad16">
                ${workers.length ? T.overview.noneOnline(workers.length) : T.overview.workersNone}
              </p>
            `;
          return html`
            <div class="scroll" tabindex="0" role="group" aria-label=${T.pages.workers}>
              <table class="t">
                <thead>
                  <tr>
                    <th>${c.name}</th>
                    <th>${c.slots}</th>
                    <th class="right">${c.load}</th>
                    <th class="right">${c.lastSeen}</th>
                  </tr>
                </thead>
                <tbody>
                  ${shown.slice(0, MAX_ROWS).map(
                    (each) => html`
                      <tr key=${each.name}>
                        <td class="nm">
                          <span class="with-dot">
                            <i class=${`dot ${statusDot(each)}`} aria-hidden="true"></i>
                            <span class="vh">${T.workerStatus.status[workerStatus(each)]}</span>
                            <${WorkerLink} name=${each.name} short />
                          </span>
                        </td>
                        <td>
                          <${Slots} busy=${each.active} all=${slots.get(each.name) ?? null} />
                        </td>
                        <td class="right muted">${latestLoad(each.loadavg) ?? '–'}</td>
                        <td class=${`right ${isDown(each) ? 'bad' : 'muted'}`}>
                          <${RelativeTime} at=${each.last_seen_at} />
                        </td>
                      </tr>
                    `,
                  )}
                </tbody>
              </table>
            </div>
          `;
        }}
      </${Loaded}>
    </${Panel}>
  `;
}
