// The saved searches: loaded by the sidebar, and again after one was added, changed or removed.

import { get, post, remove } from './api.js';
import { visible } from './format/text.js';
import { signal } from './lib.js';
import { address, encodeSegment } from './router.js';
import * as T from './strings.js';
import { toast, toastProblem } from './ui/toast.js';

/**
 * null until loaded, and if the server stores none.
 * @type {{value: any[] | null}}
 */
export const savedSearches = signal(null);

export const readSavedSearches = () =>
  get('searches').then(
    (response) => {
      savedSearches.value = response.searches;
    },
    () => {},
  );

/** The URL of the tasks page of a saved search. @param {any} search */
export const savedSearchAddress = (search) =>
  address('tasks', {
    q: search.query,
    t: search.start || search.end ? `${search.start ?? ''}..${search.end ?? ''}` : '',
    by: search.time === 'time' ? '' : (search.time ?? ''),
    cols: (search.columns ?? []).join(','),
    sort: (search.sort ?? []).join(','),
  });

/** The request body of a saved search. @param {any} search */
export const savedSearchBody = ({ name, query, start, end, time, columns, sort, shared }) => ({
  name,
  query,
  start,
  end,
  time,
  columns,
  sort,
  shared,
});

/** Removes a search from the list at once, with undo. @param {any} search */
export async function removeSavedSearch(search) {
  const before = savedSearches.value;
  savedSearches.value = (before ?? []).filter((each) => each.id !== search.id);
  try {
    await remove(`searches/${encodeSegment(search.id)}`);
    toast(T.tasks.removed(visible(search.name)), { undo: () => restore(search) });
  } catch (problem) {
    savedSearches.value = before;
    toastProblem(problem);
  }
}

async function restore(search) {
  await post('searches', savedSearchBody(search)).catch(toastProblem);
  await readSavedSearches();
}
