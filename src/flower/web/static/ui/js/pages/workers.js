// The workers page: status, load, and the tasks of each worker in a time range.

import { get } from '../api.js';
import { bootstrapData } from '../bootstrapData.js';
import { compact, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { FIGURE_INTERVAL, useRefreshTimer } from '../refreshTimer.js';
import { searchAddress, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { KeyFigure, quoteValue, Segmented, WorkerLink } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import {
  notifyResult,
  OptionalValue,
  RelativeTime,
  Unknown,
  useRerender,
} from '../ui/operationsComponents.js';
import { EmptyState, Loaded } from '../ui/panels.js';
import { StaleNotice, staleClass } from '../ui/staleNotice.js';
import { useResource } from '../useResource.js';
import {
  clockDrift,
  isDown,
  latestLoad,
  Slots,
  WorkerStatus,
  workerStatus,
} from '../worker/status.js';

/** Maximum number of rows; more workers can be matching by name. */
const MAX_ROWS = 400;
const RANGES = ['-1h', '-24h', '-7d'];

export default function Workers({ query }) {
  const range = query.get('t') || '-1h';
  const workers = useResource((signal) => get('workers', {}, { signal }), [], { every: 60 });
  const inspections = useResource((signal) => get('inspections', {}, { signal }), [], {
    every: FIGURE_INTERVAL,
  });
  const refresh = useRefreshTimer(20);
  const statistics = useResource(
    (signal) => get('stats', { group_by: 'worker', limit: 1000, start: range }, { signal }),
    [range, refresh],
  );
  const merge = ({ workers: changed }) => {
    const known = new Map((workers.data?.workers ?? []).map((each) => [each.name, each]));
    for (const each of changed) known.set(each.name, each);
    workers.set({ workers: [...known.values()] });
  };
  useLiveStream({ topics: ['workers', 'status'] }, { workers: merge, reset: workers.reload });
  useRerender(2);
  const rows = mergeRows(
    workers.data?.workers ?? [],
    inspections.data?.workers ?? [],
    statistics.data?.groups ?? [],
  );
  const refreshAll = () =>
    notifyResult(
      get('workers')
        .then(() => fetch(`${new URL(document.baseURI).pathname}workers?json=1&refresh=1`))
        .then(() => {
          setTimeout(() => {
            workers.reload();
            inspections.reload();
          }, 1500);
        }),
      () => T.workers.refreshed,
    );
  return html`
    <${Page}
      title=${T.pages.workers}
      actions=${html`<button type="button" class="btn" title=${T.workers.refreshAll} onClick=${refreshAll}>
          <${Icon} name="retry" />
          <span>${T.workers.refreshAll}</span>
        </button>`}
    >
      <div class=${`wrap ${staleClass()}`}>
        <${StaleNotice} />
        <${Loaded} of=${workers}>
          ${() =>
            rows.length
              ? html`
                <div class="stack">
                  <${Figures} rows=${rows} />
                  <${Table} rows=${rows} query=${query} range=${range} counted=${!!statistics.data} />
                </div>
              `
              : html`
                <${EmptyState} title=${T.workers.noneTitle}>
                  <p>${T.workers.noneText}</p>
                </${EmptyState}>
              `}
        </${Loaded}>
      </div>
    </${Page}>
  `;
}

/**
 * One row for each worker known from events or from inspections: online ones first, then those with the
 * latest heartbeat.
 */
function mergeRows(workers, inspections, groups) {
  const inspectionOf = new Map(inspections.map((each) => [each.name, each]));
  const tasksOf = new Map(groups.map((each) => [each.group, each]));
  const names = new Set(workers.map((each) => each.name));
  const now = Date.now() / 1000;
  const isPurged = (each) =>
    bootstrapData.purge_offline != null &&
    isDown(each) &&
    now - (each.state_since ?? each.last_seen_at ?? 0) >= bootstrapData.purge_offline;
  const rows = workers
    .filter((each) => !isPurged(each))
    .map((worker) => ({
      name: worker.name,
      worker,
      inspection: inspectionOf.get(worker.name) ?? null,
      tasks: tasksOf.get(worker.name) ?? null,
    }));
  // Workers that send no events are known from inspections.
  for (const inspection of inspections)
    if (!names.has(inspection.name))
      rows.push({
        name: inspection.name,
        worker: null,
        inspection,
        tasks: tasksOf.get(inspection.name) ?? null,
      });
  const order = (row) => (row.worker ? (isDown(row.worker) ? 2 : 0) : 1);
  const lastSeen = (row) => row.worker?.last_seen_at ?? 0;
  return rows.sort(
    (a, b) =>
      order(a) - order(b) ||
      (order(a) === 2 ? lastSeen(b) - lastSeen(a) : 0) ||
      a.name.localeCompare(b.name),
  );
}

function Figures({ rows }) {
  const online = rows.filter((row) => row.worker?.alive);
  const unknown = rows.filter((row) => row.worker?.alive === null).length;
  // While their state is unknown, the figures are the last known ones.
  const counted = rows.filter((row) => row.worker && !isDown(row.worker));
  const silent = rows.filter((row) => workerStatus(row.worker) === 'silent').length;
  const sum = (of) => counted.reduce((all, row) => all + (of(row) ?? 0), 0);
  const known = counted.filter((row) => row.inspection?.concurrency != null);
  const busy = known.reduce(
    (all, row) => all + Math.min(row.worker.active ?? 0, row.inspection.concurrency),
    0,
  );
  const slots = known.reduce((all, row) => all + row.inspection.concurrency, 0);
  return html`
    <section class="panel kpis four" aria-label=${T.workers.summary}>
      <h2 class="vh">${T.workers.summary}</h2>
      <${KeyFigure}
        name=${T.workers.figures.online}
        value=${unknown && !online.length ? '–' : int(online.length)}
        unit=${` / ${int(rows.length)}`}
        note=${unknown ? T.workers.unknownCount(int(unknown)) : ''}
      />
      <${KeyFigure}
        name=${T.workers.figures.slots}
        value=${known.length ? int(busy) : '–'}
        unit=${known.length ? ` / ${int(slots)}` : ''}
        note=${known.length || !counted.length ? '' : T.ops.unknown}
      />
      <${KeyFigure}
        name=${T.workers.figures.processed}
        value=${compact(sum((row) => row.worker.processed))}
        note=${T.workers.processedHint}
      />
      <${KeyFigure}
        name=${T.workers.figures.notOnline}
        value=${int(rows.filter((row) => isDown(row.worker)).length)}
        tone=${silent ? 'bad' : ''}
        note=${silent ? `${int(silent)} ${T.workerStatus.status.silent.toLowerCase()}` : ''}
      />
    </section>
  `;
}

function Table({ rows, query, range, counted }) {
  const [text, setText] = useState(query.get('q') ?? '');
  const filter = query.get('show') ?? '';
  const term = text.trim().toLowerCase();
  const matches = (row) =>
    (!filter || (filter === 'online' ? row.worker?.alive : isDown(row.worker))) &&
    (!term ||
      [row.name, ...(row.inspection?.queues ?? []), row.worker?.sw_ver ?? ''].some((each) =>
        each.toLowerCase().includes(term),
      ));
  const matching = rows.filter(matches);
  const type = (event) => {
    setText(event.target.value);
    setQuery({ q: event.target.value.trim() }, { replace: true });
  };
  const C = T.workers.columns;
  const rangeText = T.ops.ranges[range] ?? range;
  return html`
    <section class="panel" aria-label=${T.pages.workers}>
      <header class="tools">
        <input
          class="field find"
          type="search"
          value=${text}
          onInput=${type}
          aria-label=${T.workers.search}
          placeholder=${T.workers.searchHint}
        />
        <${Segmented}
          label=${T.workers.filterLabel}
          items=${Object.entries(T.workers.filters)}
          value=${filter}
          onPick=${(key) => setQuery({ show: key })}
        />
        <span class="sp"></span>
        <${Segmented}
          label=${T.ops.since}
          items=${RANGES.map((key) => [key, T.ops.ranges[key]])}
          value=${range}
          onPick=${(key) => setQuery({ t: key === '-1h' ? '' : key })}
        />
      </header>
      ${
        matching.length
          ? html`
            <div class="scroll">
              <table class="t">
                <thead>
                  <tr>
                    <th>${C.worker}</th>
                    <th>${C.status}</th>
                    <th>${C.slots}</th>
                    <th class="right" title=${T.workers.tasksIn(rangeText)}>
                      ${C.tasks}
                    </th>
                    <th class="right" title=${T.workers.failedIn(rangeText)}>
                      ${C.failed}
                    </th>
                    <th class="right" title=${T.workers.processedHint}>
                      ${C.processed}
                    </th>
                    <th class="right" title=${T.workers.loadHint}>
                      ${C.load}
                    </th>
                    <th class="right">${C.lastSeen}</th>
                    <th title=${T.workers.clockHint}>${C.clock}</th>
                    <th>${C.queues}</th>
                    <th>${C.version}</th>
                  </tr>
                </thead>
                <tbody>
                  ${matching
                    .slice(0, MAX_ROWS)
                    .map(
                      (row) =>
                        html`<${Row} row=${row} range=${range} counted=${counted} key=${row.name} />`,
                    )}
                </tbody>
              </table>
            </div>
          `
          : html`
            <${EmptyState}
              title=${T.workers.noMatch}
              actions=${html`<button
                  type="button"
                  class="btn"
                  onClick=${() => {
                    setText('');
                    setQuery({ q: '', show: '' });
                  }}
                >
                  ${T.ops.clear}
                </button>`}
            />
          `
      }
      ${
        matching.length > MAX_ROWS &&
        html`<p class="pad muted">${T.ops.showingOf(int(MAX_ROWS), int(matching.length))}</p>`
      }
    </section>
  `;
}

function Row({ row, range, counted }) {
  const { worker, inspection, tasks } = row;
  const count = counted ? (tasks?.count ?? 0) : null;
  const failed = counted ? (tasks?.states?.FAILURE ?? 0) : null;
  const q = `worker:=${quoteValue(row.name)}`;
  const t = `${range}..`;
  return html`
    <tr class=${worker && !isDown(worker) ? '' : 'gone'}>
      <td class="nm trunc name">
        <${WorkerLink} name=${row.name} />
      </td>
      <td>
        <${WorkerStatus} of=${worker} />
      </td>
      <td>
        ${
          isDown(worker)
            ? html`<${Unknown} why=${worker.state_reason} />`
            : html`<${Slots} busy=${worker?.active ?? null} all=${inspection?.concurrency ?? null} />`
        }
      </td>
      <td class="right">
        ${
          count == null
            ? html`<${Unknown} />`
            : html`<a href=${searchAddress(q, { t })}>${int(count)}</a>`
        }
      </td>
      <td class="right">
        ${
          failed == null
            ? html`<${Unknown} />`
            : failed
              ? html`
                <a class="bad" href=${searchAddress(`${q} state:FAILURE`, { t })}>
                  ${int(failed)}
                </a>
              `
              : ('0')
        }
      </td>
      <td class="right">
        <${OptionalValue} value=${worker?.processed} show=${int} why=${T.ops.notReported} />
      </td>
      <td class="right" title=${worker?.loadavg?.map((n) => n.toFixed(2)).join(' · ')}>
        <${OptionalValue} value=${latestLoad(worker?.loadavg)} />
      </td>
      <td class="right">
        <${RelativeTime} at=${worker?.last_seen_at} />
      </td>
      <td class=${clockDrift(worker) && clockDrift(worker) !== T.workerStatus.noDrift ? 'warn' : 'muted'}>
        ${clockDrift(worker) || html`<${Unknown} />`}
      </td>
      <td class="trunc queues" title=${inspection?.queues.join(', ')}>
        ${
          inspection
            ? line(inspection.queues.join(', '), 80)
            : html`<${Unknown} why=${T.ops.notReported} />`
        }
      </td>
      <td
        class="muted"
        title=${line([worker?.sw_ident, worker?.sw_sys].filter(Boolean).join(' '))}
      >
        ${line(worker?.sw_ver ?? '', 30) || html`<${Unknown} />`}
      </td>
    </tr>
  `;
}
