// What lies over a chart: gaps, the selected range, and the values at the pointer.

import { clock, moment } from '../format/time.js';
import { findGaps } from '../gaps.js';
import { html, useState } from '../lib.js';
import * as T from '../strings.js';
import { indexAt, LEFT, RIGHT, TOP } from './chartScale.js';

/** Pixels that a gap is wide at least, so that it can be seen. */
const MIN_GAP_WIDTH = 4;
/** Pixels that a dragged range is wide at least; less is a click. */
const MIN_RANGE_WIDTH = 4;

function Tooltip({ plot, at, data, series, format, bucket, gaps }) {
  const x = plot.x(data[0][at]);
  const place =
    x > LEFT + plot.inner / 2
      ? { right: `${LEFT + RIGHT + plot.inner - x + 12}px` }
      : { left: `${x + 12}px` };
  const row = (name, value) => html`<div><span>${name}</span><b>${value}</b></div>`;
  return html`
    <div
      class="tip"
      style=${place}
    >
      ${row(moment(data[0][at]), bucket ? `– ${clock(data[0][at] + bucket)}` : '')}
      ${series
        .map((each, k) => row(each.label, data[k + 1][at] == null ? '–' : format(data[k + 1][at])))
        .reverse()}
      ${findGaps(gaps, data[0][at], data[0][at] + bucket).map((gap) =>
        row(T.gaps.short, gap.reason),
      )}
    </div>
  `;
}

/** A component of its own: a movement of the pointer does not draw the chart again. */
export function Overlay({ plot, data, series, format, bucket, bars, gaps, brush, onBrush }) {
  const [pointer, setPointer] = useState(/** @type {number | null} */ (null));
  const [start, setStart] = useState(/** @type {number | null} */ (null));
  const end = LEFT + plot.inner;
  const clip = (x) => Math.max(LEFT, Math.min(end, x));
  const pixel = (event) => clip(event.clientX - event.currentTarget.getBoundingClientRect().left);
  const span = (from, to, minimum) => {
    const width = Math.max(minimum, to - from);
    return { left: `${Math.min(from, end - width)}px`, width: `${width}px` };
  };
  const finish = (event) => {
    if (start === null) return;
    const [a, b] = [start, pixel(event)].sort((x, y) => x - y);
    setStart(null);
    if (b - a >= MIN_RANGE_WIDTH) onBrush(plot.time(a), plot.time(b));
  };
  const selected =
    start !== null && pointer !== null
      ? [Math.min(start, pointer), Math.max(start, pointer)]
      : brush?.map((at) => clip(plot.x(at)));
  const at =
    pointer === null || !plot.times.length
      ? -1
      : indexAt(plot.times, plot.time(pointer), bars ? bucket : 0);
  const frame = { top: `${TOP}px`, height: `${plot.bottom - TOP}px` };
  return html`
    <div
      class=${`plot-over${onBrush ? ' brushable' : ''}`}
      onPointerMove=${(event) => setPointer(pixel(event))}
      onPointerLeave=${() => setPointer(null)}
      onPointerDown=${(event) => {
        if (!onBrush || event.button) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setPointer(pixel(event));
        setStart(pixel(event));
      }}
      onPointerUp=${finish}
      onPointerCancel=${() => setStart(null)}
    >
      <div class="gap-marks" style=${frame}>
        ${findGaps(gaps, plot.from, plot.to).map((gap) => {
          const right = gap.to > plot.to ? end : clip(plot.x(gap.to));
          return html`<i style=${span(clip(plot.x(gap.from)), right, MIN_GAP_WIDTH)}></i>`;
        })}
      </div>
      ${selected && html`<div class="plot-range" style=${{ ...frame, ...span(selected[0], selected[1], 2) }}></div>`}
      ${
        at >= 0 &&
        html`
          <div
            class="plot-cursor"
            style=${{ ...frame, left: `${plot.x(plot.times[at]) + (bars ? plot.bucketWidth / 2 : 0)}px` }}
          ></div>
          <${Tooltip}
            plot=${plot}
            at=${at}
            data=${data}
            series=${series}
            format=${format}
            bucket=${bucket}
            gaps=${gaps}
          />
        `
      }
    </div>
  `;
}
