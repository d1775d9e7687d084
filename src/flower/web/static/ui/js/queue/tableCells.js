// The figures of a queue as cells: what the broker or the events do not tell is said as unknown,
// never as 0.

import { duration, int, rate } from '../format/numbers.js';
import { html } from '../lib.js';
import { T } from '../strings.js';
import { OptionalValue, Unknown } from '../ui/operationsComponents.js';

const Q = T.queues;
/** Seconds after which the oldest message has waited long. */
const LONG_WAIT = 300;

/** Messages that wait or are being worked on; null if a part of it is not told. */
export const queueDepth = (queue) =>
  queue.ready == null || queue.unacknowledged == null ? null : queue.ready + queue.unacknowledged;

export const Depth = ({ of }) =>
  html`<${OptionalValue} n=${queueDepth(of)} show=${int} why=${Q.why.depth} />`;
export const Ready = ({ of }) =>
  html`<${OptionalValue} n=${of.ready} show=${int} why=${Q.why.broker} />`;
export const Unacked = ({ of }) =>
  html`<${OptionalValue} n=${of.unacknowledged} show=${int} why=${Q.why.broker} />`;
export const ArrivalRate = ({ of }) =>
  html`<${OptionalValue} n=${of.in_rate} show=${rate} why=${Q.why.rate} />`;
export const DepartureRate = ({ of }) =>
  html`<${OptionalValue} n=${of.out_rate} show=${rate} why=${Q.why.out} />`;
/** An empty queue has no oldest message; that is known. */
export const OldestMessageAge = ({ of }) =>
  of.oldest == null
    ? of.ready === 0
      ? html`
        <span class="muted" title=${Q.now}>
          ${duration(0)}
        </span>
      `
      : html`<${Unknown} why=${Q.why.broker} />`
    : html`<span class=${of.oldest > LONG_WAIT ? 'bad' : ''}>${duration(of.oldest)}</span>`;

export function TimeToEmpty({ of }) {
  if (of.growing) return html`<span class="bad">${Q.growing}</span>`;
  if (of.empty_in == null) return html`<${Unknown} why=${Q.why.empty} />`;
  if (of.empty_in < 0) return html`<span class="bad">${Q.never}</span>`;
  return of.empty_in === 0 ? html`<span class="muted">${Q.now}</span>` : duration(of.empty_in);
}
