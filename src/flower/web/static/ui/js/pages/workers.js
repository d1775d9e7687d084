// All workers: who is there, how busy, what they had to do.

import { get } from '../api.js';
import { bootstrapData } from '../bootstrapData.js';
import { compact, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { searchAddress, setQuery } from '../router.js';
import { GapNotice, Page } from '../shell/page.js';
import { T } from '../strings.js';
import { KeyFigure, quoted, Segmented, WorkerLink } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import {
  notifyResult,
  OptionalValue,
  RelativeTime,
  Unknown,
  useRerender,
} from '../ui/operationsComponents.js';
import { EmptyState, Loaded } from '../ui/panels.js';
import { useResource } from '../useResource.js';
import { clockDrift, latestLoad, Slots, WorkerStatus, workerStatus } from '../worker/status.js';

/** Rows that are drawn; who has more workers looks for one by name. */
const MAX_ROWS = 400;
const RANGES = ['-1h', '-24h', '-7d'];

export default function Workers({ query }) {
  const range = query.get('t') || '-1h';
  const workers = useResource((signal) => get('workers', {}, { signal }), [], { every: 60 });
  const briefs = useResource((signal) => get('inspections', {}, { signal }), [], {
    every: 10,
  });
  const done = useResource(
    (signal) => get('stats', { by: 'worker', limit: 1000, start: range }, { signal }),
    [range],
    { every: 30 },
  );
  const merge = ({ workers: changed }) => {
    const known = new Map((workers.data?.workers ?? []).map((each) => [each.hostname, each]));
    for (const each of changed) known.set(each.hostname, each);
    workers.set({ workers: [...known.values()] });
  };
  useLiveStream({ topics: ['workers', 'status'] }, { workers: merge, reset: workers.reload });
  useRerender(2);
  const rows = mergeRows(
    workers.data?.workers ?? [],
    briefs.data?.workers ?? [],
    done.data?.groups ?? [],
  );
  const askAll = () =>
    notifyResult(
      get('workers')
        .then(() => fetch(`${new URL(document.baseURI).pathname}workers?json=1&refresh=1`))
        .then(() => {
          setTimeout(() => {
            workers.reload();
            briefs.reload();
          }, 1500);
        }),
      () => T.workers.ask,
    );
  return html`
    <${Page}
      title=${T.pages.workers}
      actions=${html`<button type="button" class="btn" title=${T.workers.ask} onClick=${askAll}>
          <${Icon} n="retry" />
          <span>${T.workers.ask}</span>
        </button>`}
    >
      <div class="wrap">
        <${GapNotice} />
        <${Loaded} of=${workers}>
          ${() =>
            rows.length
              ? html`
                <div class="stack">
                  <${Figures} rows=${rows} />
                  <${Table} rows=${rows} query=${query} range=${range} counted=${!!done.data} />
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
 * One row for each worker that events or answers tell of; the live ones first, then those that were
 * heard last.
 */
function mergeRows(workers, briefs, groups) {
  const said = new Map(briefs.map((each) => [each.name, each]));
  const done = new Map(groups.map((each) => [each.group, each]));
  const names = new Set(workers.map((each) => each.hostname));
  const now = Date.now() / 1000;
  const gone = (each) =>
    bootstrapData.purge_offline != null &&
    !each.alive &&
    now - (each.heartbeat ?? each.timestamp ?? 0) >= bootstrapData.purge_offline;
  const rows = workers
    .filter((each) => !gone(each))
    .map((worker) => ({
      name: worker.hostname,
      worker,
      brief: said.get(worker.hostname) ?? null,
      done: done.get(worker.hostname) ?? null,
    }));
  // One that sends no events is known by its answers.
  for (const brief of briefs)
    if (!names.has(brief.name))
      rows.push({
        name: brief.name,
        worker: null,
        brief,
        done: done.get(brief.name) ?? null,
      });
  const place = (row) => (row.worker?.alive ? 0 : row.worker ? 2 : 1);
  const heard = (row) => row.worker?.heartbeat ?? row.worker?.timestamp ?? 0;
  return rows.sort(
    (a, b) =>
      place(a) - place(b) ||
      (place(a) === 2 ? heard(b) - heard(a) : 0) ||
      a.name.localeCompare(b.name),
  );
}

function Figures({ rows }) {
  const live = rows.filter((row) => row.worker?.alive);
  const silent = rows.filter((row) => workerStatus(row.worker) === 'silent').length;
  const sum = (of) => live.reduce((all, row) => all + (of(row) ?? 0), 0);
  const known = live.filter((row) => row.brief?.slots != null);
  const busy = known.reduce(
    (all, row) => all + Math.min(row.worker.active ?? 0, row.brief.slots),
    0,
  );
  const slots = known.reduce((all, row) => all + row.brief.slots, 0);
  return html`
    <section class="panel kpis four" aria-label=${T.workers.summary}>
      <h2 class="vh">${T.workers.summary}</h2>
      <${KeyFigure}
        name=${T.workers.figures.online}
        value=${int(live.length)}
        unit=${` / ${int(rows.length)}`}
      />
      <${KeyFigure}
        name=${T.workers.figures.slots}
        value=${known.length ? int(busy) : '–'}
        unit=${known.length ? ` / ${int(slots)}` : ''}
        note=${known.length || !live.length ? '' : T.ops.unknown}
      />
      <${KeyFigure}
        name=${T.workers.figures.processed}
        value=${compact(sum((row) => row.worker.processed))}
        note=${T.workers.processedHint}
      />
      <${KeyFigure}
        name=${T.workers.figures.gone}
        value=${int(rows.length - live.length)}
        tone=${silent ? 'bad' : ''}
        note=${silent ? `${int(silent)} ${T.workers.mood.silent.toLowerCase()}` : ''}
      />
    </section>
  `;
}

function Table({ rows, query, range, counted }) {
  const [text, setText] = useState(query.get('q') ?? '');
  const shows = query.get('show') ?? '';
  const wanted = text.trim().toLowerCase();
  const fits = (row) =>
    (!shows || (shows === 'online') === !!row.worker?.alive) &&
    (!wanted ||
      [row.name, ...(row.brief?.queues ?? []), row.worker?.sw_ver ?? ''].some((each) =>
        each.toLowerCase().includes(wanted),
      ));
  const found = rows.filter(fits);
  const type = (event) => {
    setText(event.target.value);
    setQuery({ q: event.target.value.trim() }, { replace: true });
  };
  const C = T.workers.columns;
  const word = T.ops.ranges[range] ?? range;
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
          label=${T.workers.show}
          items=${Object.entries(T.workers.shows)}
          value=${shows}
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
        found.length
          ? html`
            <div class="scroll">
              <table class="t">
                <thead>
                  <tr>
                    <th>${C.worker}</th>
                    <th>${C.status}</th>
                    <th>${C.slots}</th>
                    <th class="right" title=${T.workers.tasksIn(word)}>
                      ${C.tasks}
                    </th>
                    <th class="right" title=${T.workers.failedIn(word)}>
                      ${C.failed}
                    </th>
                    <th class="right" title=${T.workers.processedHint}>
                      ${C.processed}
                    </th>
                    <th class="right" title=${T.workers.loadHint}>
                      ${C.load}
                    </th>
                    <th class="right">${C.heard}</th>
                    <th title=${T.workers.clockHint}>${C.clock}</th>
                    <th>${C.queues}</th>
                    <th>${C.version}</th>
                  </tr>
                </thead>
                <tbody>
                  ${found
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
        found.length > MAX_ROWS &&
        html`<p class="pad muted">${T.ops.shownOf(int(MAX_ROWS), int(found.length))}</p>`
      }
    </section>
  `;
}

function Row({ row, range, counted }) {
  const { worker, brief, done } = row;
  const count = counted ? (done?.count ?? 0) : null;
  const failed = counted ? (done?.states?.FAILURE ?? 0) : null;
  const q = `worker:=${quoted(row.name)}`;
  const t = `${range}..`;
  return html`
    <tr class=${worker?.alive ? '' : 'gone'}>
      <td class="nm trunc name">
        <${WorkerLink} name=${row.name} />
      </td>
      <td>
        <${WorkerStatus} of=${worker} />
      </td>
      <td>
        ${
          worker && !worker.alive
            ? html`<${Unknown} why=${T.workers.moodHint[workerStatus(worker)]} />`
            : html`<${Slots} busy=${worker?.active ?? null} all=${brief?.slots ?? null} />`
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
        <${OptionalValue} n=${worker?.processed} show=${int} why=${T.workers.countUnknown} />
      </td>
      <td class="right" title=${worker?.loadavg?.map((n) => n.toFixed(2)).join(' · ')}>
        <${OptionalValue} n=${latestLoad(worker?.loadavg)} />
      </td>
      <td class="right">
        <${RelativeTime} at=${worker?.heartbeat ?? worker?.timestamp} />
      </td>
      <td class=${clockDrift(worker) && clockDrift(worker) !== T.workers.agrees ? 'warn' : 'muted'}>
        ${clockDrift(worker) || html`<${Unknown} />`}
      </td>
      <td class="trunc queues" title=${brief?.queues.join(', ')}>
        ${brief ? line(brief.queues.join(', '), 80) : html`<${Unknown} why=${T.ops.notSaid} />`}
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
