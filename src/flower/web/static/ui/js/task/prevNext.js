// The task before and after this one: in the list that it was opened from, else by the time it was
// received.
import { get } from '../api.js';
import { encodeSegment, href, navigate } from '../router.js';

/** Ids of the list that was seen last, in its order. */
let list = /** @type {string[]} */ ([]);

/** @param {string[]} ids */
export const rememberList = (ids) => {
  list = ids;
};

/** @param {any} task @param {1 | -1} step 1: further down the list, to what is older */
export async function openAdjacentTask(task, step) {
  const at = list.indexOf(task.uuid);
  let next = at >= 0 ? list[at + step] : undefined;
  if (at < 0 && task.received != null) {
    const window = step > 0 ? { end: task.received } : { start: task.received, sort: 'received' };
    const told = await get('tasks', { ...window, columns: 'uuid', limit: 5 }).catch(() => null);
    next = told?.tasks.find((each) => each.uuid !== task.uuid)?.uuid;
  }
  if (next) navigate(href(`task/${encodeSegment(next)}`));
}
