// Charts over time as SVG: tooltip, selection of a range, gaps, and the numbers as a table. Colours are tokens of the
// theme, so a change of the theme draws nothing again.

import { clock, day, moment } from '../format/time.js';
import { findGaps, gapText, gaps as recordedGaps } from '../gaps.js';
import { html, useLayoutEffect, useRef, useState } from '../lib.js';
import * as T from '../strings.js';
import { Overlay } from './chartOverlay.js';
import {
  barPath,
  isolatedIndexes,
  LEFT,
  linePaths,
  RIGHT,
  stackSeries,
  TOP,
  timeExtent,
  timeTicks,
  valueScale,
} from './chartScale.js';
import { RangeGapNote } from './gapNote.js';

const AXIS_HEIGHT = 24;
/** Minimum pixels between two ticks of the time axis. */
const TICK_SPACE = 90;

/** The label of a time: hours and minutes, with the day if more than a day is shown. */
const timeLabel = (at, step, isLong) =>
  step >= 86400
    ? day(at).slice(5)
    : (isLong ? `${day(at).slice(5)} ` : '') + (step < 60 ? clock(at) : clock(at).slice(0, 5));

/** The plot as pixels: functions from time and value, and the inverse. */
function layout({ data, stack, log, bucket, range, height, axes }, width) {
  const [times, ...values] = data;
  const [from, to] = range ?? timeExtent(times, bucket) ?? [0, 1];
  const bottom = height - (axes ? AXIS_HEIGHT : 7);
  const inner = Math.max(1, width - LEFT - RIGHT);
  const drawn = stack ? stackSeries(values) : values;
  const scale = valueScale(drawn, log, (bottom - TOP) / (height < 100 ? 22 : 30));
  const perSecond = inner / (to - from || 1);
  return {
    times,
    drawn,
    from,
    to,
    bottom,
    inner,
    ticks: scale.ticks,
    x: (at) => LEFT + (at - from) * perSecond,
    y: (value) => bottom - scale.share(value) * (bottom - TOP),
    time: (x) => from + (x - LEFT) / perSecond,
    bucketWidth: bucket * perSecond,
  };
}

function Axes({ plot, axes, axisFormat, width }) {
  const { ticks, step } = timeTicks(plot.from, plot.to, plot.inner / TICK_SPACE);
  const isLong = plot.to - plot.from > 86400;
  return html`
    ${plot.ticks.map((value) => {
      const y = Math.round(plot.y(value)) + 0.5;
      return html`
        <path class="grid-line" d=${`M${LEFT} ${y}H${width - RIGHT}`} />
        <text x=${LEFT - 6} y=${y + 3.5} text-anchor="end">${axisFormat(value)}</text>
      `;
    })}
    ${
      axes &&
      ticks.map((at) => {
        const label = timeLabel(at, step, isLong);
        const x = Math.min(plot.x(at), width - label.length * 3.2);
        return html`<text x=${x} y=${plot.bottom + 17} text-anchor="middle">${label}</text>`;
      })
    }
  `;
}

function Series({ plot, values, color, line = color, fill, width = 1.4, stack, bars }) {
  const xs = plot.times.map(plot.x);
  const ys = values.map((v) => (v == null ? null : plot.y(v)));
  const ink = `var(${color})`;
  if (bars) {
    const path = barPath(xs, ys, plot.bucketWidth, plot.bottom);
    return html`<path class="area" d=${path} style=${{ fill: ink }} />`;
  }
  const paths = linePaths(xs, ys, plot.bottom);
  return html`
    ${
      (stack || fill) &&
      html`<path class="area" d=${paths.area} style=${{ fill: ink, opacity: stack ? 1 : 0.13 }} />`
    }
    <path class="line" d=${paths.line} style=${{ stroke: `var(${line})`, strokeWidth: width }} />
    ${isolatedIndexes(values).map(
      (i) => html`<circle cx=${xs[i]} cy=${ys[i]} r="2.5" style=${{ fill: ink }} />`,
    )}
  `;
}

const affectsAll = () => true;

/**
 * @param {{data: any[], series: {label: string, color: string, line?: string, fill?: boolean,
 *   width?: number}[], height?: number, axes?: boolean, stack?: boolean, bars?: boolean, log?:
 *   boolean, format?: (n: number) => string, axisFormat?: (n: number) => string, bucket?: number,
 *   range?: [number, number] | null, onBrush?: (from: number, to: number) => void, brush?: [number,
 *   number] | null, label: string, affects?: (gap: any) => boolean}} props
 * data: [times, …values], in the order of `series`, the lowest first when stacked; bucket: width of a
 * bucket in seconds; affects: whether the data of the chart is incomplete in this gap
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
  affects = affectsAll,
}) {
  const gaps = recordedGaps.value.filter(affects);
  const box = useRef(/** @type {any} */ (null));
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const sizes = new ResizeObserver(() => setWidth(box.current?.clientWidth ?? 0));
    sizes.observe(box.current);
    return () => sizes.disconnect();
  }, []);
  const plot = layout({ data, stack, log, bucket, range, height, axes }, width);
  const shown = data[0].length || range ? findGaps(gaps, plot.from, plot.to) : [];
  const name = shown.length ? `${label}. ${T.gaps.label(shown.map(gapText).join('; '))}` : label;
  return html`
    <div
      class="plot"
      ref=${box}
      role="img"
      aria-label=${name}
      style=${{ height: `${height}px` }}
    >
      ${
        width > 0 &&
        html`
          <svg width=${width} height=${height} aria-hidden="true">
            <${Axes} plot=${plot} axes=${axes} axisFormat=${axisFormat} width=${width} />
            ${series
              .map(
                (each, i) =>
                  html`<${Series} plot=${plot} values=${plot.drawn[i]} stack=${stack} bars=${bars} ...${each} />`,
              )
              .reverse()}
          </svg>
          <${Overlay}
            plot=${plot}
            data=${data}
            series=${series}
            format=${format}
            bucket=${bucket}
            bars=${bars}
            gaps=${gaps}
            brush=${brush}
            onBrush=${onBrush}
          />
        `
      }
    </div>
  `;
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
