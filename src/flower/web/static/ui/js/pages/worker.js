// One worker: how it is, what it has, what it can be told; a dead one with its last words and the
// tasks it had.

import { get } from '../api.js';
import { denialReason } from '../currentUser.js';
import { duration, int } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { age } from '../format/time.js';
import { html, useEffect, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { Page } from '../shell/page.js';
import { T } from '../strings.js';
import {
  CopyButton,
  Fact,
  quoted,
  RowTime,
  TaskLink,
  TaskName,
  TaskState,
} from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import {
  OptionalValue,
  RelativeTime,
  Tabs,
  Unknown,
  useRerender,
} from '../ui/operationsComponents.js';
import { EmptyState, ErrorPanel, Panel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';
import { restartPool, shutDown } from '../worker/actions.js';
import { History } from '../worker/history.js';
import { clockDrift, Slots, WorkerStatus, workerStatus } from '../worker/status.js';
import { Config, Pool, Queues, System, Tasks, Types } from '../worker/tabs.js';

const W = T.worker;
/** Tasks of a dead worker that are shown; the rest by a link. */
const MAX_UNFINISHED = 20;
/** Seconds after which a living worker is asked again while its page is seen. */
const INSPECT_INTERVAL = 10;

export default function Worker({ id, query }) {
  const known = useResource((signal) => get(`workers/${encodeSegment(id)}`, {}, { signal }), [id], {
    every: 30,
  });
  const said = useInspection(id, known.data?.worker);
  const merge = ({ workers }) => {
    const mine = workers.find((each) => each.hostname === id);
    if (mine) known.set({ count: 0, states: {}, ...known.data, worker: mine });
  };
  useLiveStream({ topics: ['workers', 'status'] }, { workers: merge, reset: known.reload });
  useRerender(2);
  const crumb = html`
    <nav class="crumb" aria-label=${T.workers.crumb}>
      <a href=${href('workers')}>${T.workers.crumb}</a>
    </nav>
  `;
  const missing = known.problem?.status === 404 && said.problem?.status === 404;
  if (missing)
    return html`
      <${Page} title=${W.unknown(id)} live=${false}>
        <${EmptyState}
          title=${W.unknown(visible(id.slice(0, 200)))}
          actions=${html`
            <a class="btn" href=${href('workers')}>
              ${W.all}
            </a>
            <a class="btn" href=${searchAddress(`worker:${quoted(`*${id.slice(0, 60)}*`)}`)}>
              ${W.lookNames}
            </a>
          `}
        >
          <p>${W.unknownText}</p>
        </${EmptyState}>
      </${Page}>
    `;
  const worker = known.data?.worker ?? null;
  const words = said.data?.said ?? {};
  return html`
    <${Page}
      title=${id}
      crumb=${crumb}
      actions=${html`<${Actions} name=${id} worker=${worker} words=${words} said=${said} />`}
    >
      <div class="wrap">
        <${Head} name=${id} worker=${worker} said=${said} words=${words} known=${known} />
        ${worker && !worker.alive && html`<${UnfinishedTasks} name=${id} />`}
        <${Body} name=${id} query=${query} worker=${worker} said=${said} words=${words} />
      </div>
    </${Page}>
  `;
}

/** What it says of itself: what is remembered at once, then asked anew; a dead one is not asked. */
function useInspection(name, worker) {
  const [state, setState] = useState(
    /** @type {any} */ ({ data: null, problem: null, asking: true }),
  );
  const [turn, setTurn] = useState(0);
  const dead = worker && !worker.alive;
  useEffect(() => {
    const control = new AbortController();
    const take = (data) => {
      if (!control.signal.aborted) setState({ data, problem: null, asking: false });
    };
    const fail = (problem) => {
      if (!control.signal.aborted) setState((was) => ({ ...was, problem, asking: false }));
    };
    const ask = (refresh) =>
      get(`workers/${encodeSegment(name)}/inspection`, refresh ? { refresh: true } : {}, {
        signal: control.signal,
      });
    setState((was) => ({ ...was, asking: true }));
    ask(false).then((data) => {
      if (!control.signal.aborted) setState({ data, problem: null, asking: data.alive });
      return data.alive || turn > 0 ? ask(true).then(take, fail) : undefined;
    }, fail);
    const timer = dead
      ? 0
      : setInterval(() => {
          if (!document.hidden) ask(true).then(take, fail);
        }, INSPECT_INTERVAL * 1000);
    return () => {
      control.abort();
      clearInterval(timer);
    };
  }, [name, turn, dead]);
  return { ...state, again: () => setTurn((n) => n + 1) };
}

/** Why the worker cannot be told anything; '' if it can. */
const commandDenialReason = (worker, said) =>
  denialReason('workers') ||
  (worker && !worker.alive
    ? W.deadControls
    : !worker && said.data && !said.data.answered
      ? W.deadControls
      : '');

function Actions({ name, worker, words, said }) {
  const why = commandDenialReason(worker, said);
  const active = words.active?.value ?? null;
  const again = () => {
    setTimeout(said.again, 1000);
  };
  return html`
    <button
      type="button"
      class="btn"
      title=${W.refreshHint}
      disabled=${said.asking}
      onClick=${said.again}
    >
      <${Icon} n="retry" />
      <span>${W.refresh}</span>
    </button>
    <a class="btn" href=${searchAddress(`worker:=${quoted(name)}`)}>
      <${Icon} n="tasks" />
      <span>${W.tasks}</span>
    </a>
    <${Popover} label=${T.more} icon="more" quiet=${false} end>
      ${(close) => html`
        <${MenuItems}
          close=${close}
          items=${[
            [
              W.restart,
              () => restartPool(name, active).then((told) => told && again()),
              { icon: 'bolt', why },
            ],
            [
              W.shutdown,
              () => shutDown(name, active).then((told) => told && again()),
              { icon: 'stop', why, danger: true },
            ],
          ]}
        />
      `}
    </${Popover}>
  `;
}

function Head({ name, worker, said, words, known }) {
  const stats = words.stats?.value;
  const F = W.facts;
  const spoke = Math.max(0, ...Object.values(words).map((each) => each.at)) || null;
  const note = spoke == null ? (said.asking ? '' : W.spokeNever) : W.spoke(age(spoke));
  const silent = said.data && !said.data.answered && said.data.asked != null && spoke != null;
  const off = clockDrift(worker);
  return html`
    <section class="panel" aria-label=${visible(name)}>
      <div class="headline">
        <h1>${line(name, 200)}</h1>
        <${CopyButton} text=${name} />
        ${known.data || said.data ? html`<${WorkerStatus} of=${worker} lg />` : ''}
        <span class="sp"></span>
        <p class="muted small" role="status">
          ${note}
          ${silent ? `, ${W.silent}` : ''}
        </p>
      </div>
      ${
        said.problem &&
        said.problem.status !== 404 &&
        html`<${ErrorPanel} problem=${said.problem} title=${W.noAnswer} onRetry=${said.again} />`
      }
      <dl class="facts">
        <${Fact} name=${F.slots}>
          ${
            worker?.alive === false
              ? html`<${Unknown} why=${T.workers.moodHint[workerStatus(worker)]} />`
              : html`
                <${Slots}
                  busy=${worker?.active ?? words.active?.value.length ?? null}
                  all=${stats?.pool?.['max-concurrency'] ?? null}
                />
              `
          }
        </${Fact}>
        <${Fact} name=${F.heartbeat}>
          <${RelativeTime} at=${worker?.heartbeat} />
          ${
            worker?.freq != null &&
            html`
              ${' '}
              <span class="muted small">${W.every(duration(worker.freq))}</span>
            `
          }
        </${Fact}>
        <${Fact} name=${F.clock}>
          ${
            off
              ? html`
                <span class=${off === T.workers.agrees ? '' : 'warn'} title=${T.workers.clockHint}>
                  ${off}
                </span>
              `
              : html`<${Unknown} />`
          }
        </${Fact}>
        <${Fact} name=${F.load}>
          <span title=${T.workers.loadHint}>
            <${OptionalValue}
              n=${worker?.loadavg?.length ? worker.loadavg : null}
              show=${(all) => all.map((n) => n.toFixed(2)).join(' ')}
            />
          </span>
        </${Fact}>
        <${Fact} name=${F.prefetch}>
          <${OptionalValue} n=${stats?.prefetch_count} show=${(n) => (n ? int(n) : W.anyNumber)} />
        </${Fact}>
        <${Fact} name=${F.processed}>
          <${OptionalValue} n=${worker?.processed} show=${int} />
        </${Fact}>
        <${Fact} name=${F.uptime}>
          <${OptionalValue} n=${worker?.alive === false ? null : stats?.uptime} show=${duration} />
        </${Fact}>
        <${Fact} name=${F.pid}>
          <${OptionalValue} n=${worker?.pid ?? stats?.pid} />
        </${Fact}>
        <${Fact} name=${F.version}>
          <span title=${line(worker?.sw_sys ?? '')}>
            <${OptionalValue}
              n=${[worker?.sw_ident, worker?.sw_ver].filter(Boolean).join(' ') || null}
              show=${(text) => line(text, 60)}
            />
          </span>
        </${Fact}>
      </dl>
      ${
        known.data &&
        Object.keys(known.data.states).length > 0 &&
        html`
          <div class="did pad">
            <span class="muted small">${W.states}</span>
            ${Object.entries(known.data.states).map(
              ([state, n]) => html`
                <a href=${searchAddress(`worker:=${quoted(name)} state:${state}`)}>
                  <${TaskState} s=${state} /> ${int(n)}
                </a>
              `,
            )}
          </div>
        `
      }
    </section>
  `;
}

/** The tasks that a dead worker had, so that somebody can see to them. */
function UnfinishedTasks({ name }) {
  const q = `worker:=${quoted(name)} (state:STARTED OR state:RECEIVED)`;
  const lost = useResource(
    (signal) =>
      Promise.all([
        get(
          'tasks',
          { query: q, limit: MAX_UNFINISHED, columns: 'name,state,received,started' },
          { signal },
        ),
        get('count', { query: q }, { signal }),
      ]),
    [q],
  );
  if (lost.problem && !lost.data)
    return html`
      <${Panel} title=${W.lostTitle}>
        <${ErrorPanel} problem=${lost.problem} onRetry=${lost.reload} />
      </${Panel}>
    `;
  if (!lost.data)
    return html`
      <${Panel} title=${W.lostTitle}>
        <${Skeleton} />
      </${Panel}>
    `;
  const [{ tasks }, { count }] = lost.data;
  if (!tasks.length)
    return html`
      <${Panel} title=${W.lostTitle}>
        <p class="pad muted">${W.lostNone}</p>
      </${Panel}>
    `;
  return html`
    <${Panel}
      title=${W.lost(`${int(count)} ${T.tasks.count(count)}`)}
      cls="attention"
      end=${html`<a href=${searchAddress(q)}>${W.lostAll}</a>`}
    >
      <p class="pad muted">${W.lostText}</p>
      <div class="scroll">
        <table class="t">
          <tbody>
            ${tasks.map(
              (task) => html`
                <tr key=${task.uuid}>
                  <td>
                    <${TaskState} s=${task.state} />
                  </td>
                  <td class="nm">
                    <${TaskName} n=${task.name} />
                  </td>
                  <td>
                    <${TaskLink} uuid=${task.uuid} short />
                  </td>
                  <td class="right">
                    <${RowTime} at=${task.started ?? task.received} />
                  </td>
                </tr>
              `,
            )}
          </tbody>
        </table>
      </div>
    </${Panel}>
  `;
}

function Body({ name, query, worker, said, words }) {
  const tab = query.get('tab') && query.get('tab') in W.tabs ? query.get('tab') : 'tasks';
  const why = commandDenialReason(worker, said);
  const then = () => {
    setTimeout(said.again, 400);
  };
  const size = (kind) => words[kind]?.value?.length ?? null;
  const counts = {
    tasks: size('active'),
    queues: size('active_queues'),
    limits: size('registered'),
  };
  const stats = words.stats?.value ?? null;
  const spoke = Math.max(0, ...Object.values(words).map((each) => each.at));
  const shown = {
    tasks: () => html`<${Tasks} said=${words} />`,
    pool: () => html`<${Pool} name=${name} stats=${stats} why=${why} then=${then} />`,
    queues: () =>
      html`<${Queues} name=${name} queues=${
        words.active_queues?.value ?? null
      } why=${why} then=${then} />`,
    limits: () =>
      html`<${Types} name=${name} registered=${words.registered?.value ?? null} why=${why} />`,
    config: () => html`<${Config} conf=${words.conf?.value ?? null} />`,
    system: () => html`<${System} stats=${stats} />`,
    history: () => html`<${History} name=${name} />`,
  };
  return html`
    <${Tabs}
      label=${line(name, 200)}
      value=${tab}
      note=${worker && !worker.alive && tab !== 'history' && spoke ? W.lastWords(age(spoke)) : ''}
      items=${Object.entries(W.tabs).map(([key, text]) => [key, text, counts[key] ?? null])}
    >
      ${!said.data && said.asking ? html`<${Skeleton} />` : shown[tab]()}
    </${Tabs}>
  `;
}
