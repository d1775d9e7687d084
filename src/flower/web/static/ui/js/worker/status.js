// The status of a worker: its state as judged by the server, or noEvents for a worker that is known from
// inspection only; its clock difference, processes and load.

import { span } from '../format/time.js';
import { html } from '../lib.js';
import * as T from '../strings.js';

/** Seconds of clock difference that are not reported; the difference includes the network delay. */
const MAX_CLOCK_DRIFT = 1.5;

/**
 * @param {any} worker a row of `GET /workers`, or null for one that sends no events
 * @returns {'online' | 'busy' | 'no_heartbeats' | 'silent' | 'offline' | 'unknown' | 'noEvents'}
 */
export const workerStatus = (worker) => worker?.state ?? 'noEvents';

/** Whether the worker is known to be down: silent, or shut down. @param {any} worker */
export const isDown = (worker) => worker?.alive === false;

const DOT = {
  online: 'good',
  busy: 'good',
  no_heartbeats: 'good',
  silent: 'bad',
  offline: 'off',
  unknown: 'off',
  noEvents: 'off',
};
/** The class of the dot of a worker. @param {any} worker */
export const statusDot = (worker) => DOT[workerStatus(worker)] ?? 'off';

/** @param {{of: any, lg?: boolean}} props */
export const WorkerStatus = ({ of, lg = false }) => {
  const status = workerStatus(of);
  return html`
    <span
      class=${`worker-status ${status}${lg ? ' lg' : ''}`}
      title=${of?.state_reason || T.workerStatus.noEventsHint}
    >
      <i class=${`dot ${statusDot(of)}`} aria-hidden="true"></i>
      ${T.workerStatus.status[status] ?? status}
    </span>
  `;
};

/** Clock difference as text; '' if unknown. @param {any} worker */
export function clockDrift(worker) {
  const offset =
    worker?.clock_offset ??
    (worker?.alive && worker.last_heartbeat_at != null && worker.last_event_at != null
      ? worker.last_event_at - worker.last_heartbeat_at
      : null);
  if (offset == null) return '';
  if (Math.abs(offset) < MAX_CLOCK_DRIFT) return T.workerStatus.noDrift;
  return offset > 0 ? T.workerStatus.ahead(span(offset)) : T.workerStatus.behind(span(-offset));
}

/**
 * The number of pool processes; null if unknown. Celery's `max-concurrency` remains that of the start
 * when the pool grows.
 * @param {any} pool of the worker's stats
 */
export const poolSize = (pool) => (pool?.processes?.length || pool?.['max-concurrency']) ?? null;

/**
 * Pool processes as boxes, busy ones filled; many as a bar.
 * @param {{busy: number | null, all: number | null}} props
 */
export function Slots({ busy, all }) {
  if (all == null)
    return busy == null
      ? html`
        <span class="muted" title=${T.workerStatus.concurrencyUnknown}>
          –
        </span>
      `
      : html`
        <span class="muted" title=${T.workerStatus.concurrencyUnknown}>
          ${busy}
        </span>
      `;
  const label = T.workerStatus.slots(busy ?? '–', all);
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
