// The charts of the overview: throughput above failures on a separate scale, and runtime percentiles.

import { duration, rate } from '../format/numbers.js';
import { moment } from '../format/time.js';
import { html, useState } from '../lib.js';
import * as T from '../strings.js';
import { Chart } from '../ui/chart.js';
import { timeExtent } from '../ui/chartScale.js';
import { RangeGapNote } from '../ui/gapNote.js';
import { Panel, Skeleton } from '../ui/panels.js';
import { lastKnown } from './series.js';

const Legend = ({ items, lines = false }) => html`
  <div class="legend">
    ${items.map(
      ([color, label, value]) => html`
        <span>
          <i class=${lines ? 'ln' : ''} style=${{ background: `var(${color})` }}></i>
          ${label} <b>${value}</b>
        </span>
      `,
    )}
  </div>
`;

const formatAxis = (n) =>
  n === 0
    ? '0'
    : n < 1
      ? String(Number(n.toPrecision(2)))
      : n >= 1000
        ? `${Number((n / 1000).toPrecision(3))}k`
        : String(Number(n.toPrecision(3)));

/**
 * The numbers of a chart as a table, newest first.
 * @param {{times: number[], columns: [string, (number | null)[]][], format: (n: number) => string,
 *   label: string}} props
 */
const Numbers = ({ times, columns, format, label }) => html`
  <div class="scroll numbers" tabindex="0" role="group" aria-label=${label}>
    <table class="t">
      <thead>
        <tr>
          <th>${T.tasks.from}</th>
          ${columns.map(([name]) => html`<th class="right">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${times
          .map(
            (at, i) => html`
              <tr>
                <td>${moment(at)}</td>
                ${columns.map(
                  ([, values]) =>
                    html`<td class="right">${values[i] == null ? '–' : format(values[i])}</td>`,
                )}
              </tr>
            `,
          )
          .reverse()}
      </tbody>
    </table>
  </div>
`;

const Switch = ({ on, onSwitch }) => html`
  <button
    type="button"
    class="as-table here"
    aria-pressed=${on ? 'true' : 'false'}
    onClick=${() => onSwitch(!on)}
  >
    ${on ? T.chart : T.table}
  </button>
`;

/**
 * @param {{of: any, onBrush: (from: number, to: number) => void}} props of: as `series` gives it,
 *   or null
 */
export function Throughput({ of, onBrush }) {
  const [table, setTable] = useState(false);
  const end =
    of &&
    html`
      <${Legend}
        items=${[
          ['--c-ok', T.overview.succeeded, rate(lastKnown(of.ok))],
          ['--c-other', T.overview.retried, rate(lastKnown(of.retry))],
          ['--c-fail', T.overview.failed, rate(lastKnown(of.failed))],
        ]}
      />
      <${Switch} on=${table} onSwitch=${setTable} />
    `;
  return html`
    <${Panel} title=${T.overview.throughput} cls="two-charts" end=${end}>
      ${
        of && table
          ? html`
            <${Numbers}
              label=${T.overview.throughput}
              times=${of.times}
              format=${rate}
              columns=${[
                [T.overview.succeeded, of.ok],
                [T.overview.retried, of.retry],
                [T.overview.failed, of.failed],
              ]}
            />
          `
          : of
            ? html`
              <div class="chart upper">
                <${Chart}
                  label=${T.overview.throughputLabel}
                  data=${[of.times, of.ok]}
                  series=${[{ label: T.overview.succeeded, color: '--c-ok-soft', line: '--c-ok-line' }]}
                  stack
                  axes=${false}
                  bucket=${of.width}
                  format=${rate}
                  axisFormat=${formatAxis}
                  height=${142}
                  onBrush=${onBrush}
                />
              </div>
              <div class="chart lower">
                <${Chart}
                  label=${T.overview.failuresLabel}
                  data=${[of.times, of.failed, of.retry]}
                  series=${[
                    { label: T.overview.failed, color: '--c-fail' },
                    { label: T.overview.retried, color: '--c-other' },
                  ]}
                  stack
                  bars
                  bucket=${of.width}
                  format=${rate}
                  axisFormat=${formatAxis}
                  height=${92}
                  onBrush=${onBrush}
                />
              </div>
            `
            : html`
              <div class="chart-room">
                <${Skeleton} />
              </div>
            `
      }
      <${ChartGaps} of=${of} />
    </${Panel}>
  `;
}

/** The note of the gaps in the time range of the charts. */
function ChartGaps({ of }) {
  const extent = of && timeExtent(of.times, of.width);
  return extent && html`<${RangeGapNote} from=${extent[0]} to=${extent[1]} />`;
}

const PERCENTILES = [
  ['p50', '--c-p50'],
  ['p95', '--c-p95'],
  ['p99', '--c-p99'],
];

/** @param {{of: any, onBrush: (from: number, to: number) => void}} props */
export function Runtime({ of, onBrush }) {
  const [table, setTable] = useState(false);
  const end =
    of &&
    html`
      <${Legend}
        lines
        items=${PERCENTILES.map(([key, color]) => [color, key, duration(lastKnown(of[key]))])}
      />
      <${Switch} on=${table} onSwitch=${setTable} />
    `;
  const known = of && PERCENTILES.some(([key]) => of[key].some((each) => each != null));
  return html`
    <${Panel} title=${T.overview.runtime} end=${end}>
      ${
        !of
          ? html`
            <div class="chart-room">
              <${Skeleton} />
            </div>
          `
          : known && table
            ? html`
              <${Numbers}
                label=${T.overview.runtime}
                times=${of.times}
                format=${duration}
                columns=${PERCENTILES.map(([key]) => [key, of[key]])}
              />
            `
            : known
              ? html`
                <div class="chart">
                  <${Chart}
                    label=${T.overview.runtimeLabel}
                    data=${[of.times, ...PERCENTILES.map(([key]) => of[key])]}
                    series=${PERCENTILES.map(([label, color]) => ({
                      label,
                      color,
                      width: label === 'p95' ? 1.8 : 1.4,
                    }))}
                    log
                    bucket=${of.width}
                    format=${duration}
                    axisFormat=${(n) => duration(n).replace('.00', '').replace('.0', '')}
                    height=${232}
                    onBrush=${onBrush}
                  />
                </div>
              `
              : html`<p class="muted pad16 chart-room">${T.overview.runtimeNone}</p>`
      }
      <${ChartGaps} of=${of} />
    </${Panel}>
  `;
}
