// Components of all pages: state, task name, time, links, copy button, key figure, meter, sparkline.

import { bootstrapData } from '../bootstrapData.js';
import { line, nameParts, visible } from '../format/text.js';
import { age, clock, hover, isToday, moment, shortDay } from '../format/time.js';
import { html } from '../lib.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { quoteValue } from '../search/queryText.js';
import * as T from '../strings.js';
import { Icon } from './icons.js';
import { toast } from './toast.js';

/* Each state has a shape of its own, so that it can be recognised without its colour. */
const SHAPES = {
  SUCCESS: html`<path d="M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0M5.300 8.200 7.200 10l3.500-4" />`,
  FAILURE: html`
    <circle cx="8" cy="8" r="6.700" fill="currentColor" stroke="none" />
    <path d="M5.900 5.900l4.200 4.200M10.100 5.900l-4.200 4.200" class="cut" />
  `,
  STARTED: html`
    <circle cx="8" cy="8" r="6" opacity=".3" />
    <path class="arc" d="M8 2a6 6 0 0 1 6 6" />
  `,
  RECEIVED: html`
    <circle cx="8" cy="8" r="6" />
    <circle cx="8" cy="8" r="1.800" fill="currentColor" stroke="none" />
  `,
  PENDING: html`<circle cx="8" cy="8" r="6" stroke-dasharray="2.200 2.520" />`,
  RETRY: html`<path d="M13.600 8A5.600 5.600 0 1 1 11.900 4L13.600 5.600M13.600 2.300v3.300h-3.300" />`,
  REVOKED: html`<path d="M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0M3.800 3.800l8.400 8.400" />`,
  REJECTED: html`
    <path d="M5.300 2h5.400L14 5.300v5.400L10.700 14H5.300L2 10.700V5.300Z" />
    <path d="M5.500 8h5" />
  `,
};
const OTHER = html`<rect x="3" y="3" width="10" height="10" rx="2" />`;

/** All task states, problems first. */
export const STATES = [
  'FAILURE',
  'RETRY',
  'STARTED',
  'RECEIVED',
  'PENDING',
  'SUCCESS',
  'REVOKED',
  'REJECTED',
];
const WAITING_STATES = new Set(['PENDING', 'RECEIVED', 'RETRY']);
/** Whether a worker executes the task, as far as is known. @param {any} task */
export const isRunning = (task) =>
  !task.lost && !FINAL_STATES.has(task.state) && !WAITING_STATES.has(task.state);
export const FINAL_STATES = new Set(['SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED']);

export const stateClass = (state) => `st-${state in SHAPES ? state : 'OTHER'}`;

/**
 * @param {{state: string, lg?: boolean, lost?: {detail: string} | null, twice?: boolean}} props lost:
 *   the state is the last proven one; twice: two attempts run at the same time
 */
export const TaskState = ({ state, lg = false, lost = null, twice = false }) => html`
  <span
    class=${[
      'st',
      stateClass(state),
      lg && 'lg',
      state === 'SUCCESS' && !lg && 'quiet',
      lost && 'is-lost',
    ]
      .filter(Boolean)
      .join(' ')}
  >
    <${StateShape} state=${state} />
    <span>${visible(T.state(state))}</span>
    ${lost && html`<${LostMark} reason=${lost.detail} />`}
    ${twice && !lost && html`<b class="lost" title=${T.doubleRun.title}>${T.doubleRun.mark}</b>`}
  </span>
`;

/** The mark of a task whose state no source proves. @param {{reason: string}} props */
export const LostMark = ({ reason }) => html`
  <b class="lost" title=${T.lost.hint(visible(reason))}>
    ${T.lost.mark}<span class="vh">: ${visible(reason)}</span>
  </b>
`;

/** @param {{state: string}} props */
export const StateShape = ({ state }) => html`
  <svg
    viewBox="0 0 16 16"
    fill="none"
    stroke="currentColor"
    stroke-width="1.5"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    ${SHAPES[state] ?? OTHER}
  </svg>
`;

/** A task name, its module in a lighter colour. @param {{name: string | null}} props */
export function TaskName({ name: full }) {
  if (!full) return html`<span class="mod">${T.unknownName}</span>`;
  const [module, name] = nameParts(full.length > 300 ? `${full.slice(0, 300)}…` : full);
  return html`
    <span class="mod">${module}</span>
    ${name}
  `;
}

/** A time in the browser's zone; its tooltip has UTC and age.
 * @param {{at: number | null | undefined, precise?: boolean, natural?: boolean}} props */
export function Time({ at, precise = false, natural = bootstrapData.natural_time }) {
  if (at == null) return html`<span class="muted">–</span>`;
  const text = natural && Math.abs(Date.now() / 1000 - at) < 86400 ? age(at) : moment(at, precise);
  return html`
    <time datetime=${new Date(at * 1000).toJSON() ?? ''} title=${hover(at)}>
      ${text}
    </time>
  `;
}

/**
 * A time in a table row: clock with milliseconds, and the day unless it is today.
 * @param {{at: number | null}} props
 */
export function RowTime({ at }) {
  if (at == null) return html`<span class="muted">–</span>`;
  if (bootstrapData.natural_time) return html`<${Time} at=${at} />`;
  if (!isToday(at))
    return html`
      <time title=${hover(at)}>
        ${shortDay(at)} ${clock(at)}
      </time>
    `;
  const [whole, rest] = clock(at, true).split('.');
  return html`
    <time title=${hover(at)}>
      ${whole}
      <s>.${rest}</s>
    </time>
  `;
}

/** @param {{name: string | null, short?: boolean}} props */
export const WorkerLink = ({ name, short = false }) =>
  name
    ? html`
      <a href=${href(`worker/${encodeSegment(name)}`)} title=${visible(name)}>
        ${line(short ? name.replace(/^celery@/, '') : name)}
      </a>
    `
    : html`<span class="muted">–</span>`;

/** @param {{uuid: string, short?: boolean}} props */
export const TaskLink = ({ uuid, short = false }) => html`
  <a class="mono link" href=${href(`task/${encodeSegment(uuid)}`)} title=${visible(uuid)}>
    ${line(short ? uuid.slice(0, 8) : uuid, 60)}
  </a>
`;

/** @param {{name: string}} props */
export const TypeLink = ({ name }) => html`
  <a class="link" href=${searchAddress(`name:=${quoteValue(name)}`)}>
    ${line(name)}
  </a>
`;

/* How a value is written in the search language. */
export { quoteValue };

export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(T.copy.done(what));
  } catch {
    toast(fallbackCopy(text) ? T.copy.done(what) : T.copy.failed);
  }
}

/** Copies without the clipboard API, which is not available over plain HTTP. */
function fallbackCopy(text) {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'vh';
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}

/** @param {{text: string, what?: string}} props */
export const CopyButton = ({ text, what = T.copy.id }) => html`
  <button
    class="copy"
    type="button"
    aria-label=${T.copy.of(what)}
    title=${T.copy.of(what)}
    onClick=${() => copyText(text, what)}
  >
    <${Icon} name="copy" />
  </button>
`;

/** @param {{keys: string[]}} props */
export const Keys = ({ keys }) => html`
  <span class="keys">
    ${keys.map((key) => html`<kbd>${key}</kbd>`)}
  </span>
`;

/**
 * One of few, as buttons.
 * @param {{items: [string, string][], value: string, onPick: (value: string) => void, label:
 *   string}} props
 */
export const Segmented = ({ items, value, onPick, label }) => html`
  <div class="seg" role="group" aria-label=${label}>
    ${items.map(
      ([key, text]) => html`
        <button
          type="button"
          aria-pressed=${key === value ? 'true' : 'false'}
          onClick=${() => onPick(key)}
        >
          ${text}
        </button>
      `,
    )}
  </div>
`;

/**
 * A figure with its name, as in the row above a page.
 * @param {{name: string, children?: any}} props
 */
export const Fact = ({ name, children }) => html`
  <div>
    <dt>${name}</dt>
    <dd>${children}</dd>
  </div>
`;

/**
 * A key figure with trend.
 * @param {{name: string, value: string, unit?: string, note?: string, tone?: string, trend?:
 *   number[], isStale?: boolean}} props isStale: not a current value
 */
export const KeyFigure = ({
  name,
  value,
  unit = '',
  note = '',
  tone = '',
  trend = [],
  isStale = false,
}) => html`
  <div class=${`kpi${isStale ? ' stale' : ''}`}>
    <h3>${name}</h3>
    <div class="v">
      ${value}
      ${unit && html`<small>${unit}</small>`}
    </div>
    <div class="r">
      <span class=${`d ${tone}`}>${note}</span>
      ${trend.length > 0 && html`<${Sparkline} values=${trend} tone=${tone} />`}
    </div>
  </div>
`;

/** @param {{part: number, tone?: string, label: string}} props part: 0..1 */
export const Meter = ({ part: share, tone = '', label }) => html`
  <span class=${`meter ${tone}`} role="img" aria-label=${label}>
    <i style=${{ width: `${Math.max(0, Math.min(100, share * 100))}%` }}></i>
  </span>
`;

/**
 * A trend as one small path.
 * @param {{values: number[], tone?: string, w?: number, h?: number}} props
 */
export function Sparkline({ values: given, tone = '', w = 74, h = 22 }) {
  // a line needs two points
  const values = given.length === 1 ? [given[0], given[0]] : given;
  const low = Math.min(...values, 0);
  const scale = (h - 4) / (Math.max(...values) - low || 1);
  const points = values.map(
    (y, i) =>
      `${((i * w) / (values.length - 1 || 1)).toFixed(1)} ${(h - 2 - (y - low) * scale).toFixed(1)}`,
  );
  const path = `M${points.join('L')}`;
  return html`
    <svg
      class=${`spark ${tone}`}
      width=${w}
      height=${h}
      viewBox=${`0 0 ${w} ${h}`}
      aria-hidden="true"
    >
      <path class="area" d=${`${path}L${w} ${h}L0 ${h}Z`} />
      <path d=${path} />
    </svg>
  `;
}

/** @param {{items: [string, string, string?][]}} props colour token, label, tooltip */
export const Legend = ({ items }) => html`
  <div class="legend">
    ${items.map(
      ([color, text, hint]) => html`
        <span title=${hint ?? null}>
          <i style=${{ background: `var(${color})` }}></i>
          ${text}
        </span>
      `,
    )}
  </div>
`;
