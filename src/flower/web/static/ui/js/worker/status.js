// The status of a worker: online, unresponsive (no heartbeat, no shutdown event), offline (shut down),
// unknown (sends no events); its clock difference, processes and load.

import { span } from '../format/time.js';
import { html } from '../lib.js';
import { T } from '../strings.js';

/** Seconds of clock difference that are not reported; the difference includes the network delay. */
const MAX_CLOCK_DRIFT = 1.5;

/**
 * @param {any} worker a row of `GET /workers`, or null for one that sends no events
 * @returns {'online' | 'unresponsive' | 'offline' | 'unknown'}
 */
export const workerStatus = (worker) =>
  !worker
    ? 'unknown'
    : worker.alive
      ? 'online'
      : worker.online === false
        ? 'offline'
        : 'unresponsive';

const DOT = { online: 'good', unresponsive: 'bad', offline: 'off', unknown: 'off' };

/** @param {{of: any, lg?: boolean}} props */
export const WorkerStatus = ({ of, lg = false }) => {
  const status = workerStatus(of);
  return html`
    <span class=${`worker-status ${status}${lg ? ' lg' : ''}`} title=${T.workers.statusHint[status]}>
      <i class=${`dot ${DOT[status]}`} aria-hidden="true"></i>
      ${T.workers.status[status]}
    </span>
  `;
};

/** Clock difference at the last heartbeat as text; '' if unknown. @param {any} worker */
export function clockDrift(worker) {
  if (!worker?.alive || worker.last_heartbeat_at == null || worker.last_event_at == null) return '';
  const difference = worker.last_heartbeat_at - worker.last_event_at;
  if (Math.abs(difference) < MAX_CLOCK_DRIFT) return T.workers.noDrift;
  return difference > 0 ? T.workers.behind(span(difference)) : T.workers.ahead(span(-difference));
}

/**
 * Pool processes as boxes, busy ones filled; many as a bar.
 * @param {{busy: number | null, all: number | null}} props
 */
export function Slots({ busy, all }) {
  if (all == null)
    return busy == null
      ? html`
        <span class="muted" title=${T.workers.concurrencyUnknown}>
          –
        </span>
      `
      : html`
        <span class="muted" title=${T.workers.concurrencyUnknown}>
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

/** The load average of the last minute. @param {number[] | null | undefined} loads */
export const latestLoad = (loads) => (loads?.length ? loads[0].toFixed(2) : null);
