// What stands behind the tabs of a worker's page: tasks, pool, queues, task types, settings,
// system.

import { int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { href, part, search } from '../router.js';
import { T } from '../strings.js';
import { Name, quoted, RowTime, TaskLink } from '../ui/components.js';
import { Known, Said, shown, Unknown } from '../ui/operationsComponents.js';
import { AddQueue, cancelQueue, PoolControls, showLimits } from './actions.js';

const W = T.worker;
const MOST = 300;
const SETTINGS = 'https://docs.celeryq.dev/en/stable/userguide/configuration.html#std-setting-';
/** Parts of `stats` that have a place of their own. */
const PLACED = new Set(['pool', 'broker', 'autoscaler', 'total', 'rusage']);

const Part = ({ title, note = '', children }) => html`
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

export function Tasks({ said }) {
  return html`
    ${['active', 'reserved', 'scheduled'].map(
      (kind) => html`
        <${Part}
          title=${`${W.lists[kind]}${said[kind] ? ` ${said[kind].value.length}` : ''}`}
          note=${W.listHints[kind]}
        >
          <${TaskTable} kind=${kind} of=${said[kind]?.value} />
        </${Part}>
      `,
    )}
    <${Part}
      title=${`${W.lists.revoked}${said.revoked ? ` ${said.revoked.value.length}` : ''}`}
      note=${W.listHints.revoked}
    >
      <${Revoked} of=${said.revoked?.value} />
    </${Part}>
  `;
}

function TaskTable({ kind, of }) {
  if (!of) return html`<p class="pad muted">${T.ops.notSaid}</p>`;
  if (!of.length) return html`<p class="pad muted">${W.listNone[kind]}</p>`;
  const N = W.task;
  const due = kind === 'scheduled';
  return html`
    <div class="scroll">
      <table class="t">
        <thead>
          <tr>
            <th>${N.name}</th>
            <th>${N.id}</th>
            <th>${due ? N.eta : N.since}</th>
            <th class="right">${N.pid}</th>
            <th>${N.acknowledged}</th>
            <th>${N.args}</th>
          </tr>
        </thead>
        <tbody>
          ${of
            .slice(0, MOST)
            .map(
              (each) =>
                html`<${TaskRow} task=${each.request ?? each} eta=${each.eta} due=${due} />`,
            )}
        </tbody>
      </table>
    </div>
    ${
      of.length > MOST && html`<p class="pad muted">${T.ops.shownOf(int(MOST), int(of.length))}</p>`
    }
  `;
}

function TaskRow({ task, eta, due }) {
  return html`
    <tr>
      <td class="nm">
        <${Name} n=${task.name ?? task.type ?? null} />
      </td>
      <td>${task.id ? html`<${TaskLink} uuid=${task.id} short />` : html`<${Unknown} />`}</td>
      <td>${due ? line(eta ?? '–', 60) : html`<${RowTime} at=${task.time_start ?? null} />`}</td>
      <td class="right">
        <${Known} n=${task.worker_pid} />
      </td>
      <td>${
        task.acknowledged == null ? html`<${Unknown} />` : task.acknowledged ? W.yes : W.no
      }</td>
      <td class="mono trunc args">
        ${line(
          [task.args, task.kwargs]
            .filter((each) => each != null)
            .map(shown)
            .join(' '),
          300,
        )}
      </td>
    </tr>
  `;
}

function Revoked({ of }) {
  if (!of) return html`<p class="pad muted">${T.ops.notSaid}</p>`;
  if (!of.length) return html`<p class="pad muted">${W.listNone.revoked}</p>`;
  return html`
    <ul class="ids">
      ${of.slice(0, MOST).map(
        (uuid) => html`
          <li>
            <${TaskLink} uuid=${String(uuid)} />
          </li>
        `,
      )}
    </ul>
    ${
      of.length > MOST && html`<p class="pad muted">${T.ops.shownOf(int(MOST), int(of.length))}</p>`
    }
  `;
}

export function Pool({ name, stats, why, then }) {
  const own = stats
    ? Object.fromEntries(
        ['pid', 'prefetch_count'].filter((key) => key in stats).map((key) => [key, stats[key]]),
      )
    : null;
  return html`
    <${Part} title=${W.controls}>
      <${PoolControls} name=${name} why=${why} then=${then} />
    </${Part}>
    <div class="halves">
      <${Part} title=${W.pool}>
        <${Said} of=${stats ? { ...stats.pool, ...own } : null} />
      </${Part}>
      <${Part} title=${W.totals}>
        <${Said} of=${stats?.total} link=${undefined} />
      </${Part}>
    </div>
    ${
      stats?.autoscaler &&
      html`
        <${Part} title=${W.autoscaler}>
          <${Said} of=${stats.autoscaler} />
        </${Part}>
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
        : line(shown(value?.name ?? value), 120);
  const stop = async (queue) => {
    if (await cancelQueue(name, queue)) then();
  };
  return html`
    ${
      !queues
        ? html`<p class="pad muted">${T.ops.notSaid}</p>`
        : !queues.length
          ? html`<p class="pad muted">${W.queueNone}</p>`
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
                          <a class="link" href=${href(`queues/${part(queue.name)}`)}>
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
    <${Part} title=${W.addQueue}>
      <${AddQueue} name=${name} why=${why} then=${then} />
    </${Part}>
  `;
}

export function Types({ name, registered, why }) {
  const [text, setText] = useState('');
  if (!registered) return html`<p class="pad muted">${T.ops.notSaid}</p>`;
  // Celery writes limits that are known behind the name, in brackets.
  const types = registered.map((each) => {
    const [task, , rest] = String(each).split(/( \[)/);
    return { task, rest: rest?.replace(/\]$/, '') ?? '' };
  });
  const found = types.filter((each) => each.task.toLowerCase().includes(text.trim().toLowerCase()));
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
      found.length
        ? html`
          <div class="scroll">
            <table class="t">
              <tbody>
                ${found.slice(0, MOST).map(
                  ({ task, rest }) => html`
                    <tr key=${task}>
                      <td class="nm">
                        <a href=${search(`name:=${quoted(task)} worker:=${quoted(name)}`)}>
                          <${Name} n=${task} />
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
                          onClick=${() => showLimits(name, task)}
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
        : html`<p class="pad muted">${W.typeNone}</p>`
    }
    ${
      found.length > MOST &&
      html`<p class="pad muted">${T.ops.shownOf(int(MOST), int(found.length))}</p>`
    }
  `;
}

export const Config = ({ conf }) => html`
  <p class="pad muted">${W.configNote}</p>
  <${Said} of=${conf} link=${(key) => SETTINGS + encodeURIComponent(key)} />
`;

export function System({ stats }) {
  const rest = stats
    ? Object.fromEntries(Object.entries(stats).filter(([key]) => !PLACED.has(key)))
    : null;
  return html`
    <div class="halves">
      <${Part} title=${W.broker}>
        <${Said} of=${stats?.broker} />
      </${Part}>
      <${Part} title=${W.rusage}>
        <${Said} of=${stats?.rusage} />
      </${Part}>
    </div>
    <${Part} title=${W.other}>
      <${Said} of=${rest} />
    </${Part}>
  `;
}
