// How many tasks of each outcome over time; dragging over it narrows the range.

import { get } from '../api.js';
import { compact, int } from '../format/numbers.js';
import { html, useMemo } from '../lib.js';
import { T } from '../strings.js';
import { ChartWithTable } from '../ui/chart.js';
import { ErrorPanel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const SERIES = [
  { label: T.tasks.failed, color: '--c-fail' },
  { label: T.tasks.other, color: '--c-other' },
  { label: T.tasks.ok, color: '--c-ok' },
];

/** The response of `GET /histogram` as uPlot data: times, failed, other, succeeded. @param {any} response */
export function buildHistogramSeries({ span, states }) {
  if (!span?.buckets) return [[], [], [], []];
  const times = Array.from({ length: span.buckets }, (_, i) => span.start_at + i * span.width);
  const zero = () => new Array(span.buckets).fill(0);
  const [failed, other, ok] = [zero(), zero(), zero()];
  for (const [state, counts] of Object.entries(states)) {
    const into = state === 'FAILURE' ? failed : state === 'SUCCESS' ? ok : other;
    counts.forEach((n, i) => {
      into[i] += n;
    });
  }
  return [times, failed, other, ok];
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
