// Throughput over failures, which have a scale of their own; runtime percentiles, logarithmic.
import { html } from '../lib.js';
import { T } from '../texts.js';
import { duration, rate } from '../format/numbers.js';
import { ChartWithTable } from '../ui/chart.js';
import { Panel, Skeleton } from '../ui/panels.js';
import { newest } from './series.js';

const Legend = ({ items, lines = false }) => html`<div class="legend">${items.map(([color, word, value]) => html`<span><i class=${lines ? 'ln' : ''} style=${{ background: `var(${color})` }}></i>${word} <b>${value}</b></span>`)}</div>`;

const short = (n) => (n === 0 ? '0' : n < 1 ? String(Number(n.toPrecision(2))) : n >= 1000 ? `${Number((n / 1000).toPrecision(3))}k` : String(Number(n.toPrecision(3))));

/** @param {{of: any, onBrush: (from: number, to: number) => void}} props of: as `series` gives it, or null */
export function Throughput({ of, onBrush }) {
  const end = of && html`<${Legend} items=${[['--c-ok', T.overview.succeeded, rate(newest(of.ok))], ['--c-other', T.overview.retried, rate(newest(of.retry))], ['--c-fail', T.overview.failed, rate(newest(of.failed))]]} />`;
  return html`<${Panel} title=${T.overview.throughput} cls="two-charts" end=${end}>${of ? html`<div class="chart upper"><${ChartWithTable} label=${T.overview.throughputLabel} data=${[of.times, of.ok]} series=${[{ label: T.overview.succeeded, color: '--c-ok-soft', line: '--c-ok-line' }]} stack axes=${false} bucket=${of.width} format=${rate} axisFormat=${short} height=${142} onBrush=${onBrush} /></div><div class="chart lower"><${ChartWithTable} label=${T.overview.failuresLabel} data=${[of.times, of.failed, of.retry]} series=${[{ label: T.overview.failed, color: '--c-fail' }, { label: T.overview.retried, color: '--c-other' }]} stack bars bucket=${of.width} format=${rate} axisFormat=${short} height=${92} onBrush=${onBrush} /></div>` : html`<div class="chart-room"><${Skeleton} /></div>`}</${Panel}>`;
}

const PERCENTILES = [['p50', '--c-p50'], ['p95', '--c-p95'], ['p99', '--c-p99']];

/** @param {{of: any, onBrush: (from: number, to: number) => void}} props */
export function Runtime({ of, onBrush }) {
  const end = of && html`<${Legend} lines items=${PERCENTILES.map(([key, color]) => [color, key, duration(newest(of[key]))])} />`;
  const known = of && PERCENTILES.some(([key]) => of[key].some((each) => each != null));
  return html`<${Panel} title=${T.overview.runtime} end=${end}>${!of ? html`<div class="chart-room"><${Skeleton} /></div>` : known ? html`<div class="chart"><${ChartWithTable} label=${T.overview.runtimeLabel} data=${[of.times, ...PERCENTILES.map(([key]) => of[key])]} series=${PERCENTILES.map(([label, color]) => ({ label, color, width: label === 'p95' ? 1.8 : 1.4 }))} log bucket=${of.width} format=${duration} axisFormat=${(n) => duration(n).replace('.00', '').replace('.0', '')} height=${232} onBrush=${onBrush} /></div>` : html`<p class="muted pad16 chart-room">${T.overview.runtimeNone}</p>`}</${Panel}>`;
}
