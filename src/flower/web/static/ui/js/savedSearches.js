// The saved searches: read once by the sidebar, and again after one was added, changed or removed.

import { get, post } from './api.js';
import { visible } from './format/text.js';
import { signal } from './lib.js';
import { address, encodeSegment } from './router.js';
import { T } from './strings.js';
import { toast, toastProblem } from './ui/toast.js';

/**
 * null where the server stores none.
 * @type {{value: any[] | null}}
 */
export const savedSearches = signal(null);

export const readSavedSearches = () =>
  get('searches').then(
    (answer) => {
      savedSearches.value = answer.searches;
    },
    () => {},
  );

/** The tasks page as a saved search shows it. @param {any} search */
export const savedSearchAddress = (search) =>
  address('tasks', {
    q: search.query,
    t: search.start || search.end ? `${search.start ?? ''}..${search.end ?? ''}` : '',
    cols: (search.columns ?? []).join(','),
    sort: (search.sort ?? []).join(','),
  });

/** What the server stores of a search, as it takes it. @param {any} search */
export const savedSearchBody = ({ name, query, start, end, columns, sort, shared }) => ({
  name,
  query,
  start,
  end,
  columns,
  sort,
  shared,
});

/** Removes a search at once and offers to undo that. @param {any} search */
export async function removeSavedSearch(search) {
  const before = savedSearches.value;
  savedSearches.value = (before ?? []).filter((each) => each.id !== search.id);
  try {
    await post(`searches/${encodeSegment(search.id)}/remove`);
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
