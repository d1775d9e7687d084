// Table cells with the statistics of a queue; values that neither the broker nor events report are unknown,
// not 0.

import { duration, int, rate } from '../format/numbers.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
import { OptionalValue, Unknown } from '../ui/operationsComponents.js';

const Q = T.queues;
/** Seconds of waiting after which the oldest message is highlighted. */
const LONG_WAIT = 300;

/** Ready and unacknowledged messages; null if one of these is unknown. */
export const queueDepth = (queue) =>
  queue.ready == null || queue.unacked == null ? null : queue.ready + queue.unacked;

export const Depth = ({ of }) =>
  html`<${OptionalValue} value=${queueDepth(of)} show=${int} why=${Q.why.depth} />`;
export const Ready = ({ of }) =>
  html`<${OptionalValue} value=${of.ready} show=${int} why=${Q.why.broker} />`;
export const Unacked = ({ of }) =>
  html`<${OptionalValue} value=${of.unacked} show=${int} why=${Q.why.broker} />`;
export const ArrivalRate = ({ of }) =>
  html`<${OptionalValue} value=${of.arrivals_per_second} show=${rate} why=${Q.why.rate} />`;
export const DepartureRate = ({ of }) =>
  html`<${OptionalValue} value=${of.departures_per_second} show=${rate} why=${Q.why.out} />`;
/** 0 for an empty queue. */
export const OldestMessageAge = ({ of }) =>
  of.oldest_message_age == null
    ? of.ready === 0
      ? html`
        <span class="muted" title=${Q.now}>
          ${duration(0)}
        </span>
      `
      : html`<${Unknown} why=${Q.why.broker} />`
    : html`<span class=${of.oldest_message_age > LONG_WAIT ? 'bad' : ''}>${duration(of.oldest_message_age)}</span>`;

export function TimeToEmpty({ of }) {
  if (of.growing) return html`<span class="bad">${T.nav.growing}</span>`;
  if (of.time_to_empty == null) return html`<${Unknown} why=${Q.why.empty} />`;
  return of.time_to_empty === 0
    ? html`<span class="muted">${Q.now}</span>`
    : duration(of.time_to_empty);
}
