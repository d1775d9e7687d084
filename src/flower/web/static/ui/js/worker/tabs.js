// The tabs of a worker's page: tasks, pool, queues, task types, settings, system.

import { int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { moment } from '../format/time.js';
import { html, useState } from '../lib.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import * as T from '../strings.js';
import { quoteValue, RowTime, TaskLink, TaskName } from '../ui/components.js';
import { formatJson, KeyValueList, OptionalValue, Unknown } from '../ui/operationsComponents.js';
import { AddConsumer, cancelConsumer, PoolControls, showLimits } from './actions.js';

const W = T.worker;
const MAX_ROWS = 300;
const SETTINGS = 'https://docs.celeryq.dev/en/stable/userguide/configuration.html#std-setting-';
/** Members of `stats` that other tabs or sections show. */
const SHOWN_ELSEWHERE = new Set(['pool', 'broker', 'autoscaler', 'total', 'rusage']);

const Section = ({ title, note = '', children }) => html`
  <section class="part" aria-label=${title}>
    <h2>
      ${title}
      ${
        note &&
        html`
          ${' '}
          <small>${note}</small>
        `
      }
    </h2>
    ${children}
  </section>
`;

export function Tasks({ replies }) {
  return html`
    ${['active', 'reserved', 'scheduled'].map(
      (kind) => html`
        <${Section}
          title=${`${W.lists[kind]}${replies[kind] ? ` ${replies[kind].value.length}` : ''}`}
          note=${
            replies[kind]
              ? `${W.listHints[kind]} · ${W.reportedAt(moment(replies[kind].received_at))}`
              : W.listHints[kind]
          }
        >
          <${TaskTable} kind=${kind} of=${replies[kind]?.value} />
        </${Section}>
      `,
    )}
    <${Section}
      title=${`${W.lists.revoked}${replies.revoked ? ` ${replies.revoked.value.length}` : ''}`}
      note=${W.listHints.revoked}
    >
      <${Revoked} of=${replies.revoked?.value} />
    </${Section}>
  `;
}

function TaskTable({ kind, of }) {
  if (!of) return html`<p class="pad muted">${T.ops.notReported}</p>`;
  if (!of.length) return html`<p class="pad muted">${W.listNone[kind]}</p>`;
  const N = W.task;
  const isScheduled = kind === 'scheduled';
  return html`
    <div class="scroll">
      <table class="t">
        <thead>
          <tr>
            <th>${N.name}</th>
            <th>${N.id}</th>
            <th>${isScheduled ? N.eta : N.since}</th>
            <th class="right">${N.pid}</th>
            <th>${N.acknowledged}</th>
            <th>${N.args}</th>
          </tr>
        </thead>
        <tbody>
          ${of
            .slice(0, MAX_ROWS)
            .map(
              (each) =>
                html`<${TaskRow} task=${each.request ?? each} eta=${each.eta} isScheduled=${isScheduled} />`,
            )}
        </tbody>
      </table>
    </div>
    ${
      of.length > MAX_ROWS &&
      html`<p class="pad muted">${T.ops.showingOf(int(MAX_ROWS), int(of.length))}</p>`
    }
  `;
}

function TaskRow({ task, eta, isScheduled }) {
  return html`
    <tr>
      <td class="nm">
        <${TaskName} name=${task.name ?? task.type ?? null} />
      </td>
      <td>${task.id ? html`<${TaskLink} uuid=${task.id} short />` : html`<${Unknown} />`}</td>
      <td>${isScheduled ? line(eta ?? '–', 60) : html`<${RowTime} at=${task.time_start ?? null} />`}</td>
      <td class="right">
        <${OptionalValue} value=${task.worker_pid} />
      </td>
      <td>${
        task.acknowledged == null ? html`<${Unknown} />` : task.acknowledged ? W.yes : W.no
      }</td>
      <td class="mono trunc args">
        ${line(
          [task.args, task.kwargs]
            .filter((each) => each != null)
            .map(formatJson)
            .join(' '),
          300,
        )}
      </td>
    </tr>
  `;
}

function Revoked({ of }) {
  if (!of) return html`<p class="pad muted">${T.ops.notReported}</p>`;
  if (!of.length) return html`<p class="pad muted">${W.listNone.revoked}</p>`;
  return html`
    <ul class="ids">
      ${of.slice(0, MAX_ROWS).map(
        (uuid) => html`
          <li>
            <${TaskLink} uuid=${String(uuid)} />
          </li>
        `,
      )}
    </ul>
    ${
      of.length > MAX_ROWS &&
      html`<p class="pad muted">${T.ops.showingOf(int(MAX_ROWS), int(of.length))}</p>`
    }
  `;
}

export function Pool({ name, stats, why, then }) {
  const details = stats
    ? Object.fromEntries(
        ['pid', 'prefetch_count'].filter((key) => key in stats).map((key) => [key, stats[key]]),
      )
    : null;
  return html`
    <${Section} title=${W.controls}>
      <${PoolControls} name=${name} why=${why} then=${then} />
    </${Section}>
    <div class="halves">
      <${Section} title=${W.pool}>
        <${KeyValueList} of=${stats ? { ...stats.pool, ...details } : null} />
      </${Section}>
      <${Section} title=${W.totals}>
        <${KeyValueList} of=${stats?.total} link=${undefined} />
      </${Section}>
    </div>
    ${
      stats?.autoscaler &&
      html`
        <${Section} title=${W.autoscaler}>
          <${KeyValueList} of=${stats.autoscaler} />
        </${Section}>
      `
    }
  `;
}

export function Queues({ name, queues, why, then }) {
  const keys = Object.keys(W.queue).filter((key) => key !== 'name');
  const cell = (value) =>
    value == null
      ? html`<span class="muted">–</span>`
      : typeof value === 'boolean'
        ? value
          ? W.yes
          : W.no
        : line(formatJson(value?.name ?? value), 120);
  const stop = async (queue) => {
    if (await cancelConsumer(name, queue)) then();
  };
  return html`
    ${
      !queues
        ? html`<p class="pad muted">${T.ops.notReported}</p>`
        : !queues.length
          ? html`<p class="pad muted">${W.noQueues}</p>`
          : html`
            <div class="scroll">
              <table class="t">
                <thead>
                  <tr>
                    <th>${W.queue.name}</th>
                    ${keys.map((key) => html`<th>${W.queue[key]}</th>`)}
                    <th>
                      <span class="vh">${W.cancel}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  ${queues.map(
                    (queue) => html`
                      <tr key=${queue.name}>
                        <td class="nm">
                          <a class="link" href=${href(`queues/${encodeSegment(queue.name)}`)}>
                            ${line(queue.name)}
                          </a>
                        </td>
                        ${keys.map((key) => html`<td>${cell(queue[key])}</td>`)}
                        <td class="right">
                          <button
                            type="button"
                            class="btn quiet danger"
                            disabled=${!!why}
                            title=${why || null}
                            aria-label=${`${W.cancel} ${line(queue.name, 80)}`}
                            onClick=${() => stop(queue.name)}
                          >
                            ${W.cancel}
                          </button>
                        </td>
                      </tr>
                    `,
                  )}
                </tbody>
              </table>
            </div>
          `
    }
    <${Section} title=${W.addQueue}>
      <${AddConsumer} name=${name} why=${why} then=${then} />
    </${Section}>
  `;
}

export function Types({ name, registered, why, then }) {
  const [text, setText] = useState('');
  if (!registered) return html`<p class="pad muted">${T.ops.notReported}</p>`;
  // Celery appends limits to the name, in brackets.
  const types = registered.map((each) => {
    const [task, , rest] = String(each).split(/( \[)/);
    return { task, rest: rest?.replace(/\]$/, '') ?? '' };
  });
  const matching = types.filter((each) =>
    each.task.toLowerCase().includes(text.trim().toLowerCase()),
  );
  return html`
    <div class="controls">
      <input
        class="field find"
        type="search"
        value=${text}
        aria-label=${W.typeFilter}
        placeholder=${W.typeFilter}
        onInput=${(e) => setText(e.target.value)}
      />
      ${why && html`<p class="muted">${why}</p>`}
    </div>
    ${
      matching.length
        ? html`
          <div class="scroll">
            <table class="t">
              <tbody>
                ${matching.slice(0, MAX_ROWS).map(
                  ({ task, rest }) => html`
                    <tr key=${task}>
                      <td class="nm">
                        <a href=${searchAddress(`name:=${quoteValue(task)} worker:=${quoteValue(name)}`)}>
                          <${TaskName} name=${task} />
                        </a>
                      </td>
                      <td class="muted">${line(rest, 80)}</td>
                      <td class="right">
                        <button
                          type="button"
                          class="btn quiet"
                          disabled=${!!why}
                          title=${why || null}
                          aria-label=${`${W.limit} ${line(task, 80)}`}
                          onClick=${() => showLimits(name, task, then)}
                        >
                          ${W.limit}
                        </button>
                      </td>
                    </tr>
                  `,
                )}
              </tbody>
            </table>
          </div>
        `
        : html`<p class="pad muted">${W.noMatchingType}</p>`
    }
    ${
      matching.length > MAX_ROWS &&
      html`<p class="pad muted">${T.ops.showingOf(int(MAX_ROWS), int(matching.length))}</p>`
    }
  `;
}

export const Config = ({ conf }) => html`
  <p class="pad muted">${W.configNote}</p>
  <${KeyValueList} of=${conf} link=${(key) => SETTINGS + encodeURIComponent(key)} />
`;

export function System({ stats }) {
  const rest = stats
    ? Object.fromEntries(Object.entries(stats).filter(([key]) => !SHOWN_ELSEWHERE.has(key)))
    : null;
  return html`
    <div class="halves">
      <${Section} title=${W.broker}>
        <${KeyValueList} of=${stats?.broker} />
      </${Section}>
      <${Section} title=${W.rusage}>
        <${KeyValueList} of=${stats?.rusage} />
      </${Section}>
    </div>
    <${Section} title=${W.other}>
      <${KeyValueList} of=${rest} />
    </${Section}>
  `;
}
