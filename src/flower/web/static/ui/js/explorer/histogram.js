// How many tasks of each outcome over time; dragging over it narrows the range.

import { get } from '../api.js';
import { compact, int } from '../format/numbers.js';
import { html, useMemo } from '../lib.js';
import * as T from '../strings.js';
import { ChartWithTable } from '../ui/chart.js';
import { ErrorPanel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

/** The series, the lowest first, and the states that each counts; the last one has all other states. */
const SERIES = [
  { label: T.tasks.failed, color: '--c-fail', states: ['FAILURE'] },
  { label: T.tasks.retrying, color: '--c-other', states: ['RETRY'] },
  { label: T.tasks.revoked, color: '--st-revoked', states: ['REVOKED', 'REJECTED'] },
  { label: T.tasks.ok, color: '--c-ok', states: ['SUCCESS'] },
  { label: T.tasks.unfinished, color: '--st-started', states: [] },
];
const INDEXES = new Map(SERIES.flatMap(({ states }, at) => states.map((state) => [state, at])));

/** The legend of the histogram, in the order of the stack from above. */
export const LEGEND = SERIES.map(({ label, color }) => [color, label]).reverse();

/** The response of `GET /histogram` as data of a chart: times, then the series of SERIES. @param {any} response */
export function buildHistogramSeries({ span, states }) {
  if (!span?.buckets) return [[], ...SERIES.map(() => [])];
  const times = Array.from({ length: span.buckets }, (_, i) => span.start_at + i * span.width);
  const series = SERIES.map(() => new Array(span.buckets).fill(0));
  for (const [state, counts] of Object.entries(states)) {
    const into = series[INDEXES.get(state) ?? SERIES.length - 1];
    counts.forEach((n, i) => {
      into[i] += n;
    });
  }
  return [times, ...series];
}

/**
 * @param {{window: any, refresh: number, brush: [number, number] | null, onBrush: (from: number, to:
 *   number) => void}} props
 */
export function Histogram({ window: within, refresh, brush, onBrush }) {
  const histogram = useResource(
    (signal) => get('histogram', { ...within, buckets: innerWidth < 600 ? 40 : 90 }, { signal }),
    [JSON.stringify(within), refresh],
  );
  const data = useMemo(
    () => (histogram.data ? buildHistogramSeries(histogram.data) : null),
    [histogram.data],
  );
  if (histogram.problem && !histogram.data)
    return histogram.problem.status === 400
      ? html`<div class="h-empty"></div>`
      : html`<${ErrorPanel} problem=${histogram.problem} onRetry=${histogram.reload} />`;
  if (!data?.[0].length) return html`<div class="h-empty"></div>`;
  const { span } = histogram.data;
  const end = span.start_at + span.width * span.buckets;
  return html`
    <div class=${histogram.slow ? 'dim' : ''}>
      <${ChartWithTable}
        label=${T.tasks.histogram}
        data=${data}
        series=${SERIES}
        stack
        bars
        height=${92}
        bucket=${span.width}
        range=${[span.start_at, Math.max(end, brush?.[1] ?? 0)]}
        format=${int}
        axisFormat=${compact}
        brush=${brush}
        onBrush=${onBrush}
      />
    </div>
  `;
}
