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

/** `GET /histogram` as uPlot takes it: times, failed, other, succeeded. @param {any} told */
export function buildHistogramSeries({ span, states }) {
  if (!span?.buckets) return [[], [], [], []];
  const times = Array.from({ length: span.buckets }, (_, i) => span.start + i * span.width);
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
 * @param {{window: any, turn: number, brush: [number, number] | null, onBrush: (from: number, to:
 *   number) => void}} props
 */
export function Histogram({ window: within, turn, brush, onBrush }) {
  const told = useResource(
    (signal) => get('histogram', { ...within, buckets: innerWidth < 600 ? 40 : 90 }, { signal }),
    [JSON.stringify(within), turn],
  );
  const data = useMemo(() => (told.data ? buildHistogramSeries(told.data) : null), [told.data]);
  if (told.problem && !told.data)
    return told.problem.status === 400
      ? html`<div class="h-empty"></div>`
      : html`<${ErrorPanel} problem=${told.problem} onRetry=${told.reload} />`;
  if (!data?.[0].length) return html`<div class="h-empty"></div>`;
  const { span } = told.data;
  const end = span.start + span.width * span.buckets;
  return html`
    <div class=${told.slow ? 'dim' : ''}>
      <${ChartWithTable}
        label=${T.tasks.histogram}
        data=${data}
        series=${SERIES}
        stack
        bars
        height=${92}
        bucket=${span.width}
        range=${[span.start, Math.max(end, brush?.[1] ?? 0)]}
        format=${int}
        axisFormat=${compact}
        brush=${brush}
        onBrush=${onBrush}
      />
    </div>
  `;
}
