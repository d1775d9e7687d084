// The first page: whether anything is wrong, in words, then the figures behind that.

import { get } from '../api.js';
import { UNRESOLVED } from '../failures/statuses.js';
import { html, useEffect, useMemo, useRef } from '../lib.js';
import { health, useLiveStream } from '../liveStream.js';
import { Runtime, Throughput } from '../overview/charts.js';
import { FirstRun, RecommendedSettings } from '../overview/checklist.js';
import { Attention, HealthBanner } from '../overview/healthBanner.js';
import { KeyFigures } from '../overview/keyFigures.js';
import { buildSeries, sumSeries } from '../overview/series.js';
import { Queues, Types, Workers } from '../overview/tables.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { address, navigate, setQuery } from '../router.js';
import { GapNotice, Page } from '../shell/page.js';
import { T } from '../strings.js';
import { quoted, Segmented } from '../ui/components.js';
import { ErrorPanel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const SPANS = { '-15m': 900, '-1h': 3600, '-6h': 21600, '-24h': 86400, '-7d': 604800 };
const BUCKETS = 120;
/** Where the bar has no room for the ranges, they stand in the page. */
const NARROW = innerWidth < 600;
/** Trends are read for so many types and queues. */
const MAX_TRENDS = 8;

/** The time to show: what was chosen, else an hour; not from before anything was recorded. */
function useWindow(query) {
  const found = useRef(/** @type {number | null} */ (null));
  // in a new store it is looked for until there is one
  const oldest = useResource(
    (signal) => get('tasks', { sort: 'received', columns: 'received', limit: 1 }, { signal }),
    [],
    { every: found.current === null ? 2 : 0 },
  );
  found.current ??= oldest.data?.tasks[0]?.received ?? null;
  const first = found.current;
  const chosen = query.get('t') ?? '';
  const range =
    chosen in SPANS
      ? chosen
      : first != null && Date.now() / 1000 - first < SPANS['-15m']
        ? '-15m'
        : '-1h';
  return { range, first, known: oldest.data !== null || oldest.problem !== null };
}

/**
 * @param {string} range
 * @param {number | null} first when the oldest task on record was received
 */
function bounds(range, first) {
  const now = Date.now() / 1000;
  const length = SPANS[range];
  const whole = first == null || first <= now - length;
  const start = whole ? now - length : first;
  return {
    now,
    start,
    seconds: Math.max(5, now - start),
    compare: first != null && first <= now - 1.5 * length,
  };
}

async function readFigures(range, first, signal) {
  const { now, start, seconds } = bounds(range, first);
  const told = await get(
    'stats',
    {
      by: 'time',
      start: start.toFixed(3),
      ...(seconds < 10 * BUCKETS
        ? { width: Math.max(2, Math.round(seconds / BUCKETS)) }
        : { buckets: BUCKETS }),
    },
    { signal },
  );
  return {
    total: told.total,
    shown: buildSeries(told, start, now),
    seconds,
    partial: told.partial,
  };
}

async function readBefore(range, first, signal) {
  const { start, seconds, compare } = bounds(range, first);
  return compare
    ? (
        await get(
          'stats',
          { start: (start - seconds).toFixed(3), end: start.toFixed(3) },
          { signal },
        )
      ).total
    : null;
}

/** How many tasks of each of these types there were, over time. */
async function readTrends(names, range, first, signal) {
  const { start } = bounds(range, first);
  const told = await Promise.all(
    names.map((name) =>
      get(
        'histogram',
        { query: `name:=${quoted(name)}`, start: start.toFixed(3), buckets: 30 },
        { signal },
      ),
    ),
  );
  return Object.fromEntries(
    names.map((name, i) => [
      name,
      Array.from({ length: told[i].span.buckets }, (_, at) =>
        Object.values(told[i].states).reduce((sum, each) => sum + each[at], 0),
      ),
    ]),
  );
}

async function readBacklog(names, range, signal) {
  const told = await Promise.all(
    names.map((name) =>
      get(`queues/${encodeURIComponent(name)}/history`, { start: range, buckets: 40 }, { signal }),
    ),
  );
  return sumSeries(told.map((each) => each.stretches));
}

/** Workers as they are; the stream tells those that changed. */
function useWorkers() {
  const workers = useResource((signal) => get('workers', {}, { signal }), [], { every: 60 });
  const merge = ({ workers: changed }) => {
    const all = new Map((workers.data?.workers ?? []).map((each) => [each.hostname, each]));
    for (const each of changed) all.set(each.hostname, each);
    workers.set({ workers: [...all.values()] });
  };
  useLiveStream({ topics: ['workers', 'status'] }, { workers: merge, reset: workers.reload });
  return workers;
}

function countSlots(workers, briefs) {
  if (!workers) return null;
  const alive = workers.filter((each) => each.alive);
  const said = new Map(briefs.map((each) => [each.name, each.slots]));
  const all = alive.map((each) => said.get(each.hostname)).filter((each) => each != null);
  return {
    busy: alive.reduce((sum, each) => sum + (each.active ?? 0), 0),
    all: all.length === alive.length && all.length ? all.reduce((a, b) => a + b, 0) : null,
    workers: alive.length,
  };
}

export default function Overview({ query }) {
  const { range, first, known } = useWindow(query);
  const turn = useRefreshTimer(15);
  const slow = useRefreshTimer(60, 30);
  // the broker has other work than to answer every page
  const gentle = useRefreshTimer(15, 4);
  const skip = !known;
  const figures = useResource((signal) => readFigures(range, first, signal), [range, known, turn], {
    skip,
  });
  const before = useResource((signal) => readBefore(range, first, signal), [range, known, slow], {
    skip,
  });
  const types = useResource(
    (signal) =>
      get(
        'stats',
        { by: 'name', limit: 200, start: bounds(range, first).start.toFixed(3) },
        { signal },
      ),
    [range, known, turn],
    { skip },
  );
  const queues = useResource((signal) => get('queues', {}, { signal }), [gentle]);
  const failures = useResource(
    (signal) =>
      get('failures', { status: UNRESOLVED, start: range, limit: 20, buckets: 40 }, { signal }),
    [range, turn],
  );
  const checklist = useResource((signal) => get('checklist', {}, { signal }), [slow]);
  const briefs =
    useResource((signal) => get('inspections', {}, { signal }), [slow]).data?.workers ?? [];
  const workers = useWorkers();
  const names = useMemo(
    () =>
      (types.data?.groups ?? [])
        .map((each) => each.group)
        .filter((each) => each != null)
        .slice(0, MAX_TRENDS),
    [types.data],
  );
  const trends = useResource(
    (signal) => readTrends(names, range, first, signal),
    [range, names.join('\n'), slow],
    { skip: !names.length },
  );
  const queueNames = (queues.data?.queues ?? []).map((each) => each.name).slice(0, MAX_TRENDS);
  const backlog = useResource(
    (signal) => readBacklog(queueNames, range, signal),
    [range, queueNames.join('\n'), slow],
    { skip: !queueNames.length },
  );
  // Who has no events yet looks here until there are some.
  const empty = checklist.data && !checklist.data.events_seen;
  useEffect(() => {
    if (empty) checklist.reload();
  }, [empty && turn]);
  useEffect(() => {
    if ((figures.data || empty) && !performance.getEntriesByName('page-ready').length)
      requestAnimationFrame(() => performance.mark('page-ready'));
  }, [figures.data, empty]);
  const brush = (from, to) =>
    navigate(address('tasks', { t: `${from.toFixed(3)}..${to.toFixed(3)}` }));
  const ranges = html`
    <${Segmented}
      label=${T.tasks.range}
      items=${Object.keys(SPANS).map((key) => [key, T.overview.ranges[key]])}
      value=${range}
      onPick=${(t) => setQuery({ t })}
    />
  `;
  const { total = null, shown = null, seconds = SPANS[range] } = figures.data ?? {};
  return html`
    <${Page} title=${T.pages.overview} actions=${NARROW ? null : ranges}>
      <div class="wrap overview">
        ${NARROW && ranges}
        <${GapNotice} />
        <${HealthBanner} health=${health.value} />
        ${
          empty
            ? html`<${FirstRun} of=${checklist.data} />`
            : html`
              ${
                figures.problem &&
                html`<${ErrorPanel} problem=${figures.problem} onRetry=${figures.reload} />`
              }
              <${KeyFigures}
                total=${total}
                before=${before.data}
                shown=${shown}
                seconds=${seconds}
                queues=${queues.data?.queues ?? null}
                backlog=${backlog.data ?? []}
                slots=${countSlots(workers.data?.workers, briefs)}
              />
              <div class="cols">
                <${Throughput} of=${shown} onBrush=${brush} />
                <${Runtime} of=${shown} onBrush=${brush} />
              </div>
              <div class="cols">
                <${Queues} of=${queues} />
                <${Attention} health=${health.value} failures=${failures.data} />
              </div>
              <div class="cols">
                <${Types} of=${types} trends=${trends.data ?? {}} seconds=${seconds} window=${range} />
                <${Workers} of=${workers} briefs=${briefs} />
              </div>
              ${figures.data?.partial && html`<p class="muted small">${figures.data.partial}</p>`}
              ${checklist.data && html`<${RecommendedSettings} of=${checklist.data} />`}
            `
        }
      </div>
    </${Page}>
  `;
}
