// Charts over time by uPlot: colours of the theme, tooltip, selection of a range, and the numbers as a
// table.

import { clock, day, moment } from '../format/time.js';
import { findGaps, gapText, gaps as recordedGaps } from '../gaps.js';
import { html, signal, useEffect, useRef, useState } from '../lib.js';
import { T } from '../strings.js';
import { theme } from '../theme.js';
import { RangeGapNote } from './gapNote.js';

const DECADES = new Set([0.001, 0.01, 0.1, 1, 10, 100, 1000, 10000]);
/** Pixels that a gap is wide at least, so that it can be seen. */
const MIN_GAP_WIDTH = 4;
const filterDecades = (_, splits) => splits.map((v) => (DECADES.has(v) ? v : null));
const readColorToken = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** uPlot, loaded when the first chart is shown, so that it does not delay rows and figures. */
const library = signal(/** @type {any} */ (null));
const fetchLibrary = () => {
  if (!library.value)
    import('../../vendor/uplot.js').then(
      (it) => {
        library.value = it.default;
      },
      () => {
        /* no chart is drawn; the table shows the numbers */
      },
    );
};

/** Cumulative sums of the series, for stacked charts; null where no series has a value. */
export function stackSeries(data) {
  const out = [data[0]];
  let below = null;
  for (const series of data.slice(1)) {
    const sums = series.map((v, i) =>
      v == null && below?.[i] == null ? null : (v ?? 0) + (below?.[i] ?? 0),
    );
    out.push(sums);
    below = sums;
  }
  return out;
}

/** The indexes of the values between two unknown ones, through which no line can be drawn. */
export const isolatedIndexes = (values) =>
  values.flatMap((v, i) =>
    v != null && values[i - 1] == null && values[i + 1] == null ? [i] : [],
  );

function tooltip(series, format, rawOf, width, gapsOf) {
  let el;
  const line = (name, value) => {
    const row = document.createElement('div');
    const [a, b] = [document.createElement('span'), document.createElement('b')];
    a.textContent = name;
    b.textContent = value;
    row.append(a, b);
    return row;
  };
  return {
    hooks: {
      init: (u) => {
        el = document.createElement('div');
        el.className = 'tip';
        el.hidden = true;
        u.over.append(el);
      },
      setCursor: (u) => {
        const { idx, left } = u.cursor;
        const data = rawOf();
        el.hidden = idx == null || left < 0 || data[0][idx] == null;
        if (el.hidden) return;
        el.replaceChildren(
          line(moment(data[0][idx]), width ? `– ${clock(data[0][idx] + width)}` : ''),
          ...series
            .map((each, k) =>
              line(each.label, data[k + 1][idx] == null ? '–' : format(data[k + 1][idx])),
            )
            .reverse(),
          ...findGaps(gapsOf(), data[0][idx], data[0][idx] + width).map((gap) =>
            line(T.gaps.short, gap.reason),
          ),
        );
        const w = el.offsetWidth;
        el.style.left = `${left + w + 20 > u.over.clientWidth ? Math.max(0, left - w - 12) : left + 12}px`;
        el.style.top = '4px';
      },
    },
  };
}

/** Marks gaps by hatched areas over the chart. */
function gapMarks(gapsOf) {
  let box;
  return {
    hooks: {
      init: (u) => {
        box = document.createElement('div');
        box.className = 'gap-marks';
        u.over.prepend(box);
      },
      draw: (u) => {
        const { min, max } = u.scales.x;
        const width = u.over.clientWidth;
        const marks = min == null ? [] : findGaps(gapsOf(), min, max);
        box.replaceChildren(
          ...marks.map((gap) => {
            const left = Math.max(0, u.valToPos(gap.from, 'x'));
            const right = gap.to > max ? width : u.valToPos(gap.to, 'x');
            const mark = document.createElement('i');
            mark.style.left = `${Math.min(left, width - MIN_GAP_WIDTH)}px`;
            mark.style.width = `${Math.max(MIN_GAP_WIDTH, right - left)}px`;
            return mark;
          }),
        );
      },
    },
  };
}

/** Labels of the time axis: hours and minutes, with the day if more than a day is shown. */
const formatTimeAxis = (_, values) => {
  const long = values.length > 1 && values[values.length - 1] - values[0] > 86400;
  const step = values.length > 1 ? values[1] - values[0] : 60;
  return values.map((t) =>
    step >= 86400
      ? day(t).slice(5)
      : long
        ? `${day(t).slice(5)} ${clock(t).slice(0, 5)}`
        : step < 60
          ? clock(t)
          : clock(t).slice(0, 5),
  );
};

const affectsAll = () => true;

/**
 * From the first time to the end of the last bucket. For a single time uPlot would show three years.
 * @param {number[]} times
 * @param {number} bucket
 * @returns {[number, number] | null}
 */
export const timeExtent = (times, bucket) =>
  times.length ? [times[0], Math.max(times[times.length - 1] + bucket, times[0] + 1)] : null;

/**
 * @param {{data: any[], series: {label: string, color: string, line?: string, fill?: boolean,
 *   width?: number}[], height?: number, axes?: boolean, stack?: boolean, bars?: boolean, log?:
 *   boolean, format?: (n: number) => string, axisFormat?: (n: number) => string, bucket?: number,
 *   range?: [number, number] | null, onBrush?: (from: number, to: number) => void, brush?: [number,
 *   number] | null, label: string, keyed?: string, affects?: (gap: any) => boolean}} props
 * data: [times, …values], in the order of `series`, the lowest first when stacked; bucket: width of a
 * bucket in seconds; keyed: the chart is created again when this text changes; affects: whether the
 * data of the chart is incomplete in this gap
 */
export function Chart({
  data,
  series,
  height = 180,
  axes = true,
  stack = false,
  bars = false,
  log = false,
  format = String,
  axisFormat = format,
  bucket = 0,
  range = null,
  onBrush = undefined,
  brush = null,
  label,
  keyed = '',
  affects = affectsAll,
}) {
  const gaps = recordedGaps.value.filter(affects);
  const box = useRef(/** @type {any} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const latest = useRef({ data, onBrush, brush, bucket, range, gaps });
  latest.current = { data, onBrush, brush, bucket, range, gaps };
  const shape = (d) => {
    const all = stack ? stackSeries(d) : d;
    return [all[0], ...all.slice(1).reverse()];
  };
  const showBrush = () => {
    const u = plot.current;
    const now = latest.current.brush;
    if (!u) return;
    const left = now ? Math.max(0, u.valToPos(now[0], 'x')) : 0;
    const right = now ? Math.min(u.over.clientWidth, u.valToPos(now[1], 'x')) : 0;
    u.setSelect(
      {
        left,
        width: now ? Math.max(2, right - left) : 0,
        top: 0,
        height: now ? u.over.clientHeight : 0,
      },
      false,
    );
  };
  const uPlot = library.value;
  useEffect(fetchLibrary, []);
  useEffect(() => {
    if (!uPlot) return undefined;
    const el = box.current;
    const ink = readColorToken('--ink-3');
    // A bar is drawn in the middle of its bucket.
    const barPaths = bars
      ? uPlot.paths.bars({ size: [0.82, 18], align: 1, radius: 0.1 })
      : uPlot.paths.linear();
    const lines = series.map((each) => {
      const color = readColorToken(each.color);
      return {
        label: each.label,
        stroke: bars ? undefined : readColorToken(each.line ?? each.color),
        width: bars ? 0 : (each.width ?? 1.4),
        fill: stack ? color : each.fill ? `${color}22` : undefined,
        paths: barPaths,
        points: bars
          ? { show: false }
          : { show: false, filter: (u, at) => isolatedIndexes(u.data[at]), size: 5, fill: color },
      };
    });
    const u = new uPlot(
      {
        width: el.clientWidth || 300,
        height,
        legend: { show: false },
        padding: [8, 6, axes ? 0 : 7, 0],
        plugins: [
          tooltip(
            series,
            format,
            () => latest.current.data,
            latest.current.bucket,
            () => latest.current.gaps,
          ),
          gapMarks(() => latest.current.gaps),
        ],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: !!onBrush, y: false, setScale: false },
        },
        select: { show: !!onBrush, left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: {
            time: true,
            range: (_, low, high) =>
              latest.current.range ??
              timeExtent(latest.current.data[0], latest.current.bucket) ?? [low, high],
          },
          y: log ? { distr: 3 } : { range: (_u, _low, high) => [0, high * 1.12 || 1] },
        },
        axes: [
          {
            stroke: ink,
            font: '11px Inter, sans-serif',
            show: axes,
            size: 24,
            gap: 4,
            grid: { show: false },
            ticks: { show: false },
            space: 90,
            values: formatTimeAxis,
          },
          {
            stroke: ink,
            font: '11px Inter, sans-serif',
            size: 48,
            gap: 6,
            grid: {
              stroke: readColorToken('--grid'),
              width: 1,
              ...(log && { filter: filterDecades }),
            },
            ...(log && { filter: filterDecades }),
            ticks: { show: false },
            space: height < 100 ? 22 : 30,
            values: (_, all) => all.map((v) => (v == null ? '' : axisFormat(v))),
          },
        ],
        series: [{}, ...lines.reverse()],
        hooks: {
          setSelect: [
            (it) => {
              const { left, width } = it.select;
              if (width > 3)
                latest.current.onBrush?.(it.posToVal(left, 'x'), it.posToVal(left + width, 'x'));
              else if (!latest.current.brush) showBrush();
            },
          ],
        },
      },
      shape(latest.current.data),
      el,
    );
    plot.current = u;
    showBrush();
    const sizes = new ResizeObserver(() => {
      if (el.clientWidth) {
        u.setSize({ width: el.clientWidth, height });
        showBrush();
      }
    });
    sizes.observe(el);
    return () => {
      sizes.disconnect();
      u.destroy();
      plot.current = null;
    };
  }, [theme.value, series.map((each) => each.label).join(), height, keyed, uPlot]);
  useEffect(() => {
    plot.current?.setData(shape(data));
    showBrush();
  }, [data]);
  useEffect(showBrush, [brush?.[0], brush?.[1]]);
  const shown = findGaps(gaps, ...(range ?? timeExtent(data[0], bucket) ?? [0, -1]));
  useEffect(() => {
    plot.current?.redraw(false, false);
  }, [shown.map(gapText).join()]);
  const name = shown.length ? `${label}. ${T.gaps.label(shown.map(gapText).join('; '))}` : label;
  return html`<div ref=${box} role="img" aria-label=${name} style=${{ height: `${height}px` }}></div>`;
}

/** A chart with a button that shows its numbers as a table. Takes the props of Chart. */
export function ChartWithTable(props) {
  const [table, setTable] = useState(false);
  const { data, series, format = String } = props;
  const gaps = recordedGaps.value.filter(props.affects ?? affectsAll);
  const extent = props.range ?? timeExtent(data[0], props.bucket ?? 0);
  return html`
    <div class="chart-t">
      <button
        type="button"
        class="as-table"
        aria-pressed=${table ? 'true' : 'false'}
        onClick=${() => setTable(!table)}
      >
        ${table ? T.chart : T.table}
      </button>
      ${
        table
          ? html`
            <div
              class="scroll chart-table"
              style=${{ maxHeight: `${props.height ?? 180}px` }}
              tabindex="0"
              role="region"
              aria-label=${props.label}
            >
              <table class="t">
                <thead>
                  <tr>
                    <th>${T.tasks.from}</th>
                    ${series.map((each) => html`<th class="right">${each.label}</th>`)}
                  </tr>
                </thead>
                <tbody>
                  ${data[0].map(
                    (at, i) => html`
                      <tr>
                        <td>
                          ${moment(at)}
                          ${
                            findGaps(gaps, at, at + (props.bucket ?? 0)).length > 0 &&
                            html`<span class="warn small"> ${T.gaps.short}</span>`
                          }
                        </td>
                        ${series.map(
                          (_, k) => html`
                            <td class="right">
                              ${data[k + 1][i] == null ? '–' : format(data[k + 1][i])}
                            </td>
                          `,
                        )}
                      </tr>
                    `,
                  )}
                </tbody>
              </table>
            </div>
          `
          : html`<${Chart} ...${props} />`
      }
      ${extent && html`<${RangeGapNote} from=${extent[0]} to=${extent[1]} affects=${props.affects} />`}
    </div>
  `;
}
