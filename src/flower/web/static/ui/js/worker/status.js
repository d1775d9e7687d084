// How a worker is: online, silent (it was there and is not heard any more), offline (it said
// goodbye); its clock.

import { span } from '../format/time.js';
import { html } from '../lib.js';
import { T } from '../strings.js';

/** Seconds by which clocks may differ without a word: the message takes its time, too. */
const MAX_CLOCK_DRIFT = 1.5;

/**
 * @param {any} worker a row of `GET /workers`, or null for one that sends no events
 * @returns {'online' | 'silent' | 'offline' | 'unknown'}
 */
export const workerStatus = (worker) =>
  !worker ? 'unknown' : worker.alive ? 'online' : worker.online === false ? 'offline' : 'silent';

const DOT = { online: 'good', silent: 'bad', offline: 'off', unknown: 'off' };

/** @param {{of: any, lg?: boolean}} props */
export const WorkerStatus = ({ of, lg = false }) => {
  const mood = workerStatus(of);
  return html`
    <span class=${`mood ${mood}${lg ? ' lg' : ''}`} title=${T.workers.moodHint[mood]}>
      <i class=${`dot ${DOT[mood]}`} aria-hidden="true"></i>
      ${T.workers.mood[mood]}
    </span>
  `;
};

/** Its clock against ours, by its last heartbeat; '' if that is not known. @param {any} worker */
export function clockDrift(worker) {
  if (!worker?.alive || worker.heartbeat == null || worker.timestamp == null) return '';
  const away = worker.heartbeat - worker.timestamp;
  if (Math.abs(away) < MAX_CLOCK_DRIFT) return T.workers.agrees;
  return away > 0 ? T.workers.behind(span(away)) : T.workers.ahead(span(-away));
}

/**
 * Slots as boxes, the busy ones filled; many as a bar.
 * @param {{busy: number | null, all: number | null}} props
 */
export function Slots({ busy, all }) {
  if (all == null)
    return busy == null
      ? html`
        <span class="muted" title=${T.workers.slotsUnknown}>
          –
        </span>
      `
      : html`
        <span class="muted" title=${T.workers.slotsUnknown}>
          ${busy}
        </span>
      `;
  const label = T.workers.slots(busy ?? '–', all);
  const boxes =
    all <= 16
      ? html`
        <span class="slots" role="img" aria-label=${label}>
          ${Array.from(
            { length: all },
            (_, at) => html`<i class=${at < (busy ?? 0) ? 'on' : ''}></i>`,
          )}
        </span>
      `
      : html`
        <span class="slots bar" role="img" aria-label=${label}>
          <b style=${{ width: `${Math.min(100, ((busy ?? 0) / all) * 100)}%` }}></b>
        </span>
      `;
  return html`
    <span class="with-slots" title=${label}>
      ${boxes}
      <small aria-hidden="true">
        ${busy ?? '–'}/${all}
      </small>
    </span>
  `;
}

/** The newest load, with all three on hover. @param {number[] | null | undefined} loads */
export const latestLoad = (loads) => (loads?.length ? loads[0].toFixed(2) : null);
