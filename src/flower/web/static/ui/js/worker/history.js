// The history of a worker: running tasks and load over time, and when it was online.

import { get } from '../api.js';
import { html } from '../lib.js';
import { encodeSegment } from '../router.js';
import * as T from '../strings.js';
import { ChartWithTable } from '../ui/chart.js';
import { Time } from '../ui/components.js';
import { RelativeTime } from '../ui/operationsComponents.js';
import { Loaded } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const W = T.worker;

/** Seconds between two requests; the charts end with the last event, and a change of the state is loaded at once. */
const HISTORY_INTERVAL = 30;

/** The history with the last event of the worker. @param {any[]} events @param {any} worker row of `GET /workers` */
export function withLastEvent(events, worker) {
  const recorded_at = worker?.last_seen_at;
  const { active = null, loadavg = null } = worker ?? {};
  return recorded_at == null || events.some((each) => each.recorded_at >= recorded_at)
    ? events
    : [{ recorded_at, event: 'heartbeat', active, loadavg }, ...events];
}

/** @param {{name: string, worker: any}} props worker: row of `GET /workers`, or null */
export function History({ name, worker }) {
  const history = useResource(
    (signal) => get(`workers/${encodeSegment(name)}/history`, { limit: 2000 }, { signal }),
    [name, worker?.state_since ?? 0],
    { every: HISTORY_INTERVAL },
  );
  return html`
    <${Loaded} of=${history}>
      ${({ events }) =>
        events.length
          ? html`
            <${Charts} name=${name} events=${withLastEvent(events, worker)} />
            <${OnlineHistory} events=${events} />
          `
          : html`<p class="pad muted">${W.historyNone}</p>`}
    </${Loaded}>
  `;
}

function Charts({ name, events }) {
  const rows = events.toSorted((a, b) => a.recorded_at - b.recorded_at);
  const times = rows.map((each) => each.recorded_at);
  const one = (title, values, color, format) =>
    values.some((n) => n != null) &&
    html`
      <section class="part" aria-label=${title}>
        <h2>${title}</h2>
        <div class="chart">
          <${ChartWithTable}
            data=${[times, values]}
            series=${[{ label: title, color, fill: true }]}
            height=${130}
            format=${format}
            label=${title}
            affects=${(gap) => gap.worker === null || gap.worker === name}
          />
        </div>
      </section>
    `;
  return html`
    <div class="halves">
      ${one(
        W.active,
        rows.map((each) => each.active),
        '--st-started',
        String,
      )}
      ${one(
        W.loadChart,
        rows.map((each) => each.loadavg?.[0] ?? null),
        '--c-p95',
        (n) => n.toFixed(2),
      )}
    </div>
  `;
}

function OnlineHistory({ events }) {
  const changes = events
    .filter((each) => each.event === 'online' || each.event === 'offline')
    .sort((a, b) => b.recorded_at - a.recorded_at);
  return html`
    <section class="part" aria-label=${W.onlineHistory}>
      <h2>${W.onlineHistory}</h2>
      ${
        changes.length
          ? html`
            <ul class="online-history">
              ${changes.slice(0, 100).map(
                (each) => html`
                  <li>
                    <i
                      class=${`dot ${each.event === 'online' ? 'good' : 'off'}`}
                      aria-hidden="true"
                    ></i>
                    <b>${W.events[each.event]}</b> <${Time} at=${each.recorded_at} natural=${false} />${' '}
                    <span class="muted">
                      <${RelativeTime} at=${each.recorded_at} />
                      ${each.pid != null && `, ${W.pidText(each.pid)}`}
                    </span>
                  </li>
                `,
              )}
            </ul>
          `
          : html`<p class="pad muted">${W.historyNone}</p>`
      }
    </section>
  `;
}
