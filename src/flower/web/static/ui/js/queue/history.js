// The recorded samples of a queue, with its state now: a sample is recorded every 15 s.

const larger = (a, b) => (a == null ? b : b == null ? a : Math.max(a, b));
const smaller = (a, b) => (a == null ? b : b == null ? a : Math.min(a, b));

/**
 * The buckets of `GET /queues/{name}/history`, the last one of which contains the present state.
 * @param {{buckets: any[], width: number}} history
 * @param {any} queue a row of `GET /queues`, or null if the present state is not known
 * @param {number} [now] epoch seconds
 * @returns {any[]}
 */
export function withPresentState({ buckets, width }, queue, now = Date.now() / 1000) {
  const last = buckets[buckets.length - 1];
  if (!queue || !last || now < last.start_at) return buckets;
  const isSame = now < last.start_at + width;
  const before = isSame ? last : {};
  const present = {
    ...before,
    start_at: isSame
      ? last.start_at
      : last.start_at + Math.floor((now - last.start_at) / width) * width,
    ready_avg: before.ready_avg ?? queue.ready,
    ready_max: larger(before.ready_max, queue.ready),
    unacked_max: larger(before.unacked_max, queue.unacked),
    consumers_min: smaller(before.consumers_min, queue.consumers),
    oldest_message_age_max: larger(before.oldest_message_age_max, queue.oldest_message_age),
  };
  return [...(isSame ? buckets.slice(0, -1) : buckets), present];
}
