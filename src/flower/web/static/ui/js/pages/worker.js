// The page of one worker: status, replies to inspect, commands; unfinished tasks of an offline worker.

import { get } from '../api.js';
import { denialReason } from '../currentUser.js';
import { duration, int } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { age, moment } from '../format/time.js';
import { html, useEffect, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { interruption } from '../recorderStatus.js';
import { FIGURE_INTERVAL, useRefreshTimer } from '../refreshTimer.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import {
  CopyButton,
  Fact,
  quoteValue,
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
import { StaleNotice } from '../ui/staleNotice.js';
import { useResource } from '../useResource.js';
import { restartPool, shutDown } from '../worker/actions.js';
import { History } from '../worker/history.js';
import { clockDrift, isDown, poolSize, Slots, WorkerStatus } from '../worker/status.js';
import { Config, Pool, Queues, System, Tasks, Types } from '../worker/tabs.js';

const W = T.worker;
/** Maximum number of unfinished tasks that are listed. */
const MAX_UNFINISHED = 20;
/** Seconds after which the numbers of recorded tasks are loaded again: while nothing changes, while tasks change. */
const MAX_RECORD_AGE = 30;
const MIN_RECORD_AGE = 1.2;
/**
 * The largest share of the time in which an online worker is inspected while its page is visible: one with thousands
 * of prefetched tasks is inspected less often than every `FIGURE_INTERVAL`.
 */
const INSPECT_SHARE = 0.1;
/** Milliseconds after a change of the number of running tasks at which the worker is inspected. */
const RUNNING_INSPECT_DELAY = 500;
/** Seconds since the last inspection before such a change causes another one. */
const MIN_INSPECT_AGE = 3;
/** Milliseconds after a command at which the worker is inspected. */
const COMMAND_INSPECT_DELAYS = [400, 2000, 5000];

export default function Worker({ id, query }) {
  const refresh = useRefreshTimer(MAX_RECORD_AGE, MIN_RECORD_AGE);
  const record = useResource(
    (signal) => get(`workers/${encodeSegment(id)}`, {}, { signal }),
    [id, refresh],
  );
  const inspection = useInspection(id, record.data?.worker);
  const running = record.data?.worker.active ?? null;
  // The list of running tasks and their number are of one moment.
  useEffect(() => {
    const age = Date.now() / 1000 - (inspection.data?.inspected_at ?? 0);
    if (running === null || isDown(record.data?.worker) || age < MIN_INSPECT_AGE) return undefined;
    const timer = setTimeout(inspection.refresh, RUNNING_INSPECT_DELAY);
    return () => clearTimeout(timer);
  }, [running]);
  const merge = ({ workers }) => {
    const own = workers.find((each) => each.name === id);
    if (own) record.set({ task_count: 0, states: {}, ...record.data, worker: own });
  };
  useLiveStream({ topics: ['workers', 'status'] }, { workers: merge, reset: record.reload });
  useRerender(2);
  const crumb = html`
    <nav class="crumb" aria-label=${T.pages.workers}>
      <a href=${href('workers')}>${T.pages.workers}</a>
    </nav>
  `;
  const missing = record.problem?.status === 404 && inspection.problem?.status === 404;
  if (missing)
    return html`
      <${Page} title=${W.notFound} live=${false}>
        <${EmptyState}
          title=${W.notFound}
          actions=${html`
            <a class="btn" href=${href('workers')}>
              ${W.all}
            </a>
            <a class="btn" href=${searchAddress(`worker:${quoteValue(`*${id.slice(0, 60)}*`)}`)}>
              ${W.similarNames}
            </a>
          `}
        >
          <p class="mono">${visible(id.slice(0, 200))}</p>
          <p>${W.notFoundText}</p>
        </${EmptyState}>
      </${Page}>
    `;
  const worker = record.data?.worker ?? null;
  const replies = inspection.data?.replies ?? {};
  return html`
    <${Page}
      title=${id}
      crumb=${crumb}
      actions=${html`<${Actions} name=${id} worker=${worker} replies=${replies} inspection=${inspection} />`}
    >
      <div class="wrap">
        <${StaleNotice} />
        <${Head} name=${id} worker=${worker} inspection=${inspection} replies=${replies} record=${record} />
        ${isDown(worker) && html`<${UnfinishedTasks} name=${id} />`}
        <${Body} name=${id} query=${query} worker=${worker} inspection=${inspection} replies=${replies} />
      </div>
    </${Page}>
  `;
}

/** The replies of the worker: the stored ones first, then new ones unless the worker is offline. */
function useInspection(name, worker) {
  const [state, setState] = useState(
    /** @type {any} */ ({ data: null, problem: null, loading: true }),
  );
  const [count, setCount] = useState(0);
  const isOffline = isDown(worker);
  useEffect(() => {
    const control = new AbortController();
    const succeed = (data) => {
      if (!control.signal.aborted) setState({ data, problem: null, loading: false });
    };
    const fail = (problem) => {
      if (!control.signal.aborted)
        setState((previous) => ({ ...previous, problem, loading: false }));
    };
    const inspect = (refresh) =>
      get(`workers/${encodeSegment(name)}/inspection`, refresh ? { refresh: true } : {}, {
        signal: control.signal,
      });
    setState((previous) => ({ ...previous, loading: true }));
    inspect(false).then((data) => {
      if (!control.signal.aborted) setState({ data, problem: null, loading: data.alive !== false });
      return data.alive !== false || count > 0 ? inspect(true).then(succeed, fail) : undefined;
    }, fail);
    let timer = 0;
    const repeat = async () => {
      const startedAt = Date.now();
      if (!document.hidden) await inspect(true).then(succeed, fail);
      const duration = Date.now() - startedAt;
      if (!control.signal.aborted)
        timer = setTimeout(
          repeat,
          Math.max(FIGURE_INTERVAL * 1000 - duration, duration / INSPECT_SHARE),
        );
    };
    if (!isOffline) timer = setTimeout(repeat, FIGURE_INTERVAL * 1000);
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [name, count, isOffline]);
  return { ...state, refresh: () => setCount((n) => n + 1) };
}

/** Why commands are disabled; '' if they are not. */
const commandDenialReason = (worker, inspection) =>
  denialReason('workers') ||
  (isDown(worker)
    ? W.offline
    : !worker && inspection.data && !inspection.data.answered
      ? W.offline
      : '');

function Actions({ name, worker, replies, inspection }) {
  const why = commandDenialReason(worker, inspection);
  const active = replies.active?.value ?? null;
  const refreshSoon = () => {
    for (const delay of COMMAND_INSPECT_DELAYS) setTimeout(inspection.refresh, delay);
  };
  return html`
    <button
      type="button"
      class="btn"
      title=${W.refreshHint}
      disabled=${inspection.loading}
      onClick=${inspection.refresh}
    >
      <${Icon} name="retry" />
      <span>${W.refresh}</span>
    </button>
    <a class="btn" href=${searchAddress(`worker:=${quoteValue(name)}`)}>
      <${Icon} name="tasks" />
      <span>${T.viewTasks}</span>
    </a>
    <${Popover} label=${T.more} icon="more" quiet=${false} end>
      ${(close) => html`
        <${MenuItems}
          close=${close}
          items=${[
            [
              W.restart,
              () => restartPool(name, active).then((response) => response && refreshSoon()),
              { icon: 'bolt', why },
            ],
            [
              W.shutdown,
              () => shutDown(name, active).then((response) => response && refreshSoon()),
              { icon: 'stop', why, danger: true },
            ],
          ]}
        />
      `}
    </${Popover}>
  `;
}

function Head({ name, worker, inspection, replies, record }) {
  const stats = replies.stats?.value;
  const F = W.facts;
  const inspectedAt =
    Math.max(0, ...Object.values(replies).map((each) => each.received_at)) || null;
  const note =
    inspectedAt == null
      ? inspection.loading
        ? ''
        : W.neverInspected
      : W.inspected(age(inspectedAt));
  const timedOut =
    inspection.data &&
    !inspection.data.answered &&
    inspection.data.inspected_at != null &&
    inspectedAt != null;
  const drift = clockDrift(worker);
  return html`
    <section class="panel" aria-label=${visible(name)}>
      <div class="headline">
        <h1>${line(name, 200)}</h1>
        <${CopyButton} text=${name} />
        ${record.data || inspection.data ? html`<${WorkerStatus} of=${worker} lg />` : ''}
        <span class="sp"></span>
        <p class="muted small" role="status">
          ${note}
          ${timedOut ? `, ${W.inspectTimedOut}` : ''}
        </p>
      </div>
      ${
        worker &&
        worker.state !== 'online' &&
        !(worker.state === 'unknown' && interruption.value) &&
        html`
          <p class="pad muted">
            ${visible(worker.state_reason)}
            ${worker.state_since != null && html` ${W.stateSince(moment(worker.state_since))}`}
          </p>
        `
      }
      ${
        worker?.duplicate_pids.length > 0 &&
        html`
          <p class="stale-note" role="status">
            <${Icon} name="failures" />
            <span>
              <b>${W.duplicate(worker.duplicate_pids.join(', '))}</b> ${W.duplicateText}
              ${' '}<code>celery worker -n worker1@%h</code>
            </span>
          </p>
        `
      }
      ${
        inspection.problem &&
        inspection.problem.status !== 404 &&
        html`<${ErrorPanel} problem=${inspection.problem} title=${W.inspectFailed} onRetry=${inspection.refresh} />`
      }
      <dl class="facts">
        <${Fact} name=${F.slots}>
          ${
            worker?.alive === false
              ? html`<${Unknown} why=${worker.state_reason} />`
              : html`
                <${Slots}
                  busy=${worker?.active ?? replies.active?.value.length ?? null}
                  all=${poolSize(stats?.pool)}
                />
              `
          }
        </${Fact}>
        <${Fact} name=${F.seen}>
          <${RelativeTime} at=${worker?.last_seen_at} />
          ${
            worker?.sends_heartbeats === false
              ? html`
                ${' '}
                <span class="muted small">${W.noHeartbeats}</span>
              `
              : worker?.freq != null &&
                html`
                  ${' '}
                  <span class="muted small" title=${W.everyHint}>${W.every(duration(worker.freq))}</span>
                `
          }
        </${Fact}>
        <${Fact} name=${F.clock}>
          ${
            drift
              ? html`
                <span class=${drift === T.workerStatus.noDrift ? '' : 'warn'} title=${T.workers.clockHint}>
                  ${drift}
                </span>
              `
              : html`<${Unknown} />`
          }
        </${Fact}>
        <${Fact} name=${F.load}>
          <span title=${T.workers.loadHint}>
            <${OptionalValue}
              value=${worker?.loadavg?.length ? worker.loadavg : null}
              show=${(all) => all.map((n) => n.toFixed(2)).join(' ')}
            />
          </span>
        </${Fact}>
        <${Fact} name=${F.prefetch}>
          <${OptionalValue} value=${stats?.prefetch_count} show=${(n) => (n ? int(n) : W.unlimited)} />
        </${Fact}>
        <${Fact} name=${F.processed}>
          <${OptionalValue} value=${worker?.processed} show=${int} />
          ${
            worker?.processed != null &&
            html`
              ${' '}
              <span class="muted small" title=${T.workers.processedHint}>${W.sinceStart}</span>
            `
          }
        </${Fact}>
        <${Fact} name=${F.uptime}>
          <${OptionalValue} value=${worker?.alive === false ? null : stats?.uptime} show=${duration} />
        </${Fact}>
        <${Fact} name=${F.pid}>
          <${OptionalValue} value=${worker?.pid ?? stats?.pid} />
        </${Fact}>
        <${Fact} name=${F.version}>
          <span title=${line(worker?.sw_sys ?? '')}>
            <${OptionalValue}
              value=${[worker?.sw_ident, worker?.sw_ver].filter(Boolean).join(' ') || null}
              show=${(text) => line(text, 60)}
            />
          </span>
        </${Fact}>
      </dl>
      ${
        record.data &&
        Object.keys(record.data.states).length > 0 &&
        html`
          <div class="state-counts pad">
            <span class="muted small" title=${W.statesHint}>${W.states}</span>
            ${Object.entries(record.data.states).map(
              ([state, n]) => html`
                <a href=${searchAddress(`worker:=${quoteValue(name)} state:${state}`)}>
                  <${TaskState} state=${state} /> ${int(n)}
                </a>
              `,
            )}
          </div>
        `
      }
    </section>
  `;
}

/** The tasks that a worker which is down had received or started and not finished; lost ones are marked. */
function UnfinishedTasks({ name }) {
  const q = `worker:=${quoteValue(name)} is:unfinished`;
  const refresh = useRefreshTimer(MAX_RECORD_AGE);
  const unfinished = useResource(
    (signal) =>
      Promise.all([
        get(
          'tasks',
          { query: q, limit: MAX_UNFINISHED, columns: 'name,state,received_at,started_at,lost' },
          { signal },
        ),
        get('count', { query: q }, { signal }),
      ]),
    [q, refresh],
  );
  if (unfinished.problem && !unfinished.data)
    return html`
      <${Panel} title=${W.unfinishedTitle}>
        <${ErrorPanel} problem=${unfinished.problem} onRetry=${unfinished.reload} />
      </${Panel}>
    `;
  if (!unfinished.data)
    return html`
      <${Panel} title=${W.unfinishedTitle}>
        <${Skeleton} />
      </${Panel}>
    `;
  const [{ tasks }, { count }] = unfinished.data;
  if (!tasks.length)
    return html`
      <${Panel} title=${W.unfinishedTitle}>
        <p class="pad muted">${W.noUnfinished}</p>
      </${Panel}>
    `;
  return html`
    <${Panel}
      title=${W.unfinished(count)}
      cls="attention"
      end=${html`<a href=${searchAddress(q)}>${T.viewTasks}</a>`}
    >
      <p class="pad muted">${W.unfinishedText}</p>
      <div class="scroll">
        <table class="t">
          <tbody>
            ${tasks.map(
              (task) => html`
                <tr key=${task.uuid}>
                  <td>
                    <${TaskState} state=${task.state} lost=${task.lost} />
                  </td>
                  <td class="nm">
                    <${TaskName} name=${task.name} />
                  </td>
                  <td>
                    <${TaskLink} uuid=${task.uuid} short />
                  </td>
                  <td class="right">
                    <${RowTime} at=${task.started_at ?? task.received_at} />
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

function Body({ name, query, worker, inspection, replies }) {
  const tab = query.get('tab') && query.get('tab') in W.tabs ? query.get('tab') : 'tasks';
  const why = commandDenialReason(worker, inspection);
  // A worker replies before the command has taken effect: a pool grows one process after the other.
  const then = () => {
    for (const delay of COMMAND_INSPECT_DELAYS) setTimeout(inspection.refresh, delay);
  };
  const size = (kind) => replies[kind]?.value?.length ?? null;
  const counts = {
    tasks: size('active'),
    queues: size('active_queues'),
    limits: size('registered'),
  };
  const stats = replies.stats?.value ?? null;
  const inspectedAt = Math.max(0, ...Object.values(replies).map((each) => each.received_at));
  const contents = {
    tasks: () => html`<${Tasks} replies=${replies} />`,
    pool: () => html`<${Pool} name=${name} stats=${stats} why=${why} then=${then} />`,
    queues: () =>
      html`<${Queues} name=${name} queues=${
        replies.active_queues?.value ?? null
      } why=${why} then=${then} />`,
    limits: () =>
      html`<${Types} name=${name} registered=${replies.registered?.value ?? null} why=${why} then=${then} />`,
    config: () => html`<${Config} conf=${replies.conf?.value ?? null} />`,
    system: () => html`<${System} stats=${stats} />`,
    history: () => html`<${History} name=${name} worker=${worker} />`,
  };
  return html`
    <${Tabs}
      label=${line(name, 200)}
      value=${tab}
      note=${isDown(worker) && tab !== 'history' && inspectedAt ? W.lastKnown(age(inspectedAt)) : ''}
      items=${Object.entries(W.tabs).map(([key, text]) => [key, text, counts[key] ?? null])}
    >
      ${!inspection.data && inspection.loading ? html`<${Skeleton} />` : contents[tab]()}
    </${Tabs}>
  `;
}
