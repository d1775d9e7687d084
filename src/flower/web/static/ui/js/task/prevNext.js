// The previous and next task: in the list from which the task was opened, else by the time of the
// tasks.

import { get } from '../api.js';
import { encodeSegment, href, navigate } from '../router.js';

/** Returns the ids of the last shown list. */
let readList = /** @type {() => string[]} */ (() => []);

/** @param {() => string[]} read */
export const rememberList = (read) => {
  readList = read;
};

/** @param {any} task @param {1 | -1} step 1: the next, older task */
export async function openAdjacentTask(task, step) {
  const list = readList();
  const index = list.indexOf(task.uuid);
  let next = index >= 0 ? list[index + step] : undefined;
  if (index < 0 && task.time_at != null) {
    const window = step > 0 ? { end: task.time_at } : { start: task.time_at, sort: 'time' };
    const response = await get('tasks', { ...window, columns: 'uuid', limit: 5 }).catch(() => null);
    next = response?.tasks.find(({ uuid }) => uuid !== task.uuid)?.uuid;
  }
  if (next) navigate(href(`task/${encodeSegment(next)}`));
}
