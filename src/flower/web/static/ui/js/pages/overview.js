// The overview page: health, key figures, charts, queues, failures, task types, workers.

import { get } from '../api.js';
import { UNRESOLVED } from '../failures/statuses.js';
import { duration } from '../format/numbers.js';
import { moment } from '../format/time.js';
import { clearGaps, gaps } from '../gaps.js';
import { html, useEffect, useMemo, useRef } from '../lib.js';
import { health, useLiveStream } from '../liveStream.js';
import { Runtime, Throughput } from '../overview/charts.js';
import { FirstRun, RecommendedSettings } from '../overview/configCheck.js';
import { Attention, HealthBanner } from '../overview/healthBanner.js';
import { KeyFigures } from '../overview/keyFigures.js';
import { buildSeries, sumSeries, timeBounds } from '../overview/series.js';
import { Queues, Types, Workers } from '../overview/tables.js';
import { interruption } from '../recorderStatus.js';
import {
  FIGURE_INTERVAL,
  QUEUE_INTERVAL,
  SAMPLE_INTERVAL,
  useRefreshTimer,
} from '../refreshTimer.js';
import { address, navigate, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { quoteValue, Segmented } from '../ui/components.js';
import { ErrorPanel } from '../ui/panels.js';
import { useResource } from '../useResource.js';
import { isDown } from '../worker/status.js';

const SPANS = { '-15m': 900, '-1h': 3600, '-6h': 21600, '-24h': 86400, '-7d': 604800 };
const BUCKETS = 120;
/** The series of `buildSeries` that count tasks per second. */
const RATES = ['ok', 'retry', 'failed', 'done'];
/** In narrow windows the ranges are in the page instead of the toolbar. */
const NARROW = innerWidth < 600;
/** Maximum number of task types and queues whose trends are loaded. */
const MAX_TRENDS = 8;

/** The time range: the selected one, else an hour, or 15 minutes in a new store. */
function useWindow(query) {
  const oldestAt = useRef(/** @type {number | null} */ (null));
  // In a new store the request is repeated until there is a task.
  const oldest = useResource(
    (signal) => get('tasks', { sort: 'time', columns: 'time_at', limit: 1 }, { signal }),
    [],
    { every: oldestAt.current === null ? 2 : 0 },
  );
  oldestAt.current ??= oldest.data?.tasks[0]?.time_at ?? null;
  const first = oldestAt.current;
  const chosen = query.get('t') ?? '';
  const range =
    chosen in SPANS
      ? chosen
      : first != null && Date.now() / 1000 - first < SPANS['-15m']
        ? '-15m'
        : '-1h';
  return { range, first, known: oldest.data !== null || oldest.problem !== null };
}

/** @param {string} range @param {number | null} first */
const bounds = (range, first) => timeBounds(SPANS[range], first, Date.now() / 1000);

async function loadStatistics(range, first, signal) {
  const { now, start, seconds, isComplete } = bounds(range, first);
  const response = await get(
    'stats',
    {
      group_by: 'time',
      start: start.toFixed(3),
      ...(seconds < 10 * BUCKETS
        ? { width: Math.max(2, Math.round(seconds / BUCKETS)) }
        : { buckets: BUCKETS }),
    },
    { signal },
  );
  return {
    total: response.total,
    series: buildSeries(response, { start: isComplete ? start : undefined, end: now }),
    seconds,
    start,
    partial: response.partial,
  };
}

/** The statistics, with unknown rates where zero was recorded within a gap. */
function withoutGaps(series, all) {
  if (!series || !all.length) return series;
  const clear = (values) => clearGaps(all, series.times, series.width, values);
  const cleared = Object.fromEntries(RATES.map((name) => [name, clear(series[name])]));
  return { ...series, ...cleared };
}

async function loadPrevious(range, first, signal) {
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

/** Number of tasks of each of these types over time. */
async function loadTrends(names, range, first, signal) {
  const { start } = bounds(range, first);
  const responses = await Promise.all(
    names.map((name) =>
      get(
        'histogram',
        { query: `name:=${quoteValue(name)}`, start: start.toFixed(3), buckets: 30 },
        { signal },
      ),
    ),
  );
  return Object.fromEntries(
    names.map((name, i) => [
      name,
      Array.from({ length: responses[i].span.buckets }, (_, at) =>
        Object.values(responses[i].states).reduce((sum, each) => sum + each[at], 0),
      ),
    ]),
  );
}

async function loadBacklog(names, range, signal) {
  const responses = await Promise.all(
    names.map((name) =>
      get(`queues/${encodeURIComponent(name)}/history`, { start: range, buckets: 40 }, { signal }),
    ),
  );
  return sumSeries(responses.map((each) => each.buckets));
}

/** The recorded depths with the present one. @param {number[]} recorded @param {any} now of `GET /queues` */
function withPresent(recorded, now) {
  const depths = (now?.queues ?? []).map((each) => each.ready);
  return !recorded.length || now?.problem || depths.includes(null)
    ? recorded
    : [...recorded, depths.reduce((a, b) => a + b, 0)];
}

/** The workers, updated by the stream. */
function useWorkers() {
  const workers = useResource((signal) => get('workers', {}, { signal }), [], { every: 60 });
  const merge = ({ workers: changed }) => {
    const all = new Map((workers.data?.workers ?? []).map((each) => [each.name, each]));
    for (const each of changed) all.set(each.name, each);
    workers.set({ workers: [...all.values()] });
  };
  useLiveStream({ topics: ['workers', 'status'] }, { workers: merge, reset: workers.reload });
  return workers;
}

function countSlots(workers, inspections) {
  if (!workers) return null;
  // While their state is unknown, the figures are the last known ones.
  const alive = workers.filter((each) => each.online && !isDown(each));
  const concurrency = new Map(inspections.map((each) => [each.name, each.concurrency]));
  const all = alive.map((each) => concurrency.get(each.name)).filter((each) => each != null);
  return {
    busy: alive.reduce((sum, each) => sum + (each.active ?? 0), 0),
    all: all.length === alive.length && all.length ? all.reduce((a, b) => a + b, 0) : null,
    workers: alive.length,
  };
}

export default function Overview({ query }) {
  const { range, first, known } = useWindow(query);
  const refresh = useRefreshTimer(15);
  const clusterRefresh = useRefreshTimer(FIGURE_INTERVAL, FIGURE_INTERVAL);
  const sampleRefresh = useRefreshTimer(SAMPLE_INTERVAL, SAMPLE_INTERVAL);
  const queueRefresh = useRefreshTimer(QUEUE_INTERVAL, QUEUE_INTERVAL);
  const skip = !known;
  const statistics = useResource(
    (signal) => loadStatistics(range, first, signal),
    [range, known, refresh],
    {
      skip,
    },
  );
  const previous = useResource(
    (signal) => loadPrevious(range, first, signal),
    [range, known, refresh],
    {
      skip,
    },
  );
  const types = useResource(
    (signal) =>
      get(
        'stats',
        { group_by: 'name', limit: 200, start: bounds(range, first).start.toFixed(3) },
        { signal },
      ),
    [range, known, refresh],
    { skip },
  );
  const queues = useResource((signal) => get('queues', {}, { signal }), [queueRefresh]);
  const failures = useResource(
    (signal) =>
      get('failures', { status: UNRESOLVED, start: range, limit: 20, buckets: 40 }, { signal }),
    [range, refresh],
  );
  const configCheck = useResource((signal) => get('config-check', {}, { signal }), [sampleRefresh]);
  const inspections =
    useResource((signal) => get('inspections', {}, { signal }), [clusterRefresh]).data?.workers ??
    [];
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
    (signal) => loadTrends(names, range, first, signal),
    [range, names.join('\n'), refresh],
    { skip: !names.length },
  );
  const queueNames = (queues.data?.queues ?? []).map((each) => each.name).slice(0, MAX_TRENDS);
  const backlog = useResource(
    (signal) => loadBacklog(queueNames, range, signal),
    [range, queueNames.join('\n'), sampleRefresh],
    { skip: !queueNames.length },
  );
  // Without events the check of the settings is shown, and repeated until there are some.
  const empty = configCheck.data && !configCheck.data.events_seen;
  useEffect(() => {
    if (empty) configCheck.reload();
  }, [empty && refresh]);
  useEffect(() => {
    if ((statistics.data || empty) && !performance.getEntriesByName('page-ready').length)
      requestAnimationFrame(() => performance.mark('page-ready'));
  }, [statistics.data, empty]);
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
  const {
    total = null,
    series: recorded = null,
    seconds = SPANS[range],
    start,
  } = statistics.data ?? {};
  const series = useMemo(() => withoutGaps(recorded, gaps.value), [recorded, gaps.value]);
  return html`
    <${Page} title=${T.pages.overview} actions=${NARROW ? null : ranges}>
      <div class="wrap overview">
        ${NARROW && ranges}
        <${HealthBanner} health=${health.value} />
        ${
          empty
            ? html`<${FirstRun} of=${configCheck.data} />`
            : html`
              ${
                statistics.problem &&
                html`<${ErrorPanel} problem=${statistics.problem} onRetry=${statistics.reload} />`
              }
              ${
                start != null &&
                seconds < SPANS[range] - 1 &&
                html`<p class="muted small">${T.overview.since(moment(start), duration(seconds))}</p>`
              }
              <${KeyFigures}
                total=${total}
                before=${previous.data}
                series=${series}
                seconds=${seconds}
                queues=${queues.data?.queues ?? null}
                backlog=${withPresent(backlog.data ?? [], queues.data)}
                slots=${countSlots(workers.data?.workers, inspections)}
                staleSince=${interruption.value?.since ?? null}
                queuesAt=${queues.data?.problem ? queues.data.sampled_at : null}
              />
              <div class="cols">
                <${Throughput} of=${series} onBrush=${brush} />
                <${Runtime} of=${series} onBrush=${brush} />
              </div>
              <div class="cols">
                <${Queues} of=${queues} />
                <${Attention} health=${health.value} failures=${failures.data} />
              </div>
              <div class="cols">
                <${Types} of=${types} trends=${trends.data ?? {}} seconds=${seconds} window=${range} />
                <${Workers} of=${workers} inspections=${inspections} />
              </div>
              ${statistics.data?.partial && html`<p class="muted small">${statistics.data.partial}</p>`}
              ${configCheck.data && html`<${RecommendedSettings} of=${configCheck.data} />`}
            `
        }
      </div>
    </${Page}>
  `;
}
