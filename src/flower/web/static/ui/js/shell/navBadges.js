// The figures beside the names of pages: groups of failures that nobody settled, workers, queues.

import { get } from '../api.js';
import { DEFAULT_RANGE, UNRESOLVED } from '../failures/statuses.js';
import { signal, useEffect } from '../lib.js';
import { T } from '../strings.js';
import { workerStatus } from '../worker/status.js';

/** Seconds: what the page itself shows comes first. */
const FIRST_DELAY = 1.5;
const REFRESH_INTERVAL = 30;

/**
 * By the name of the page; hot: it wants to be looked at.
 * @type {{value: Record<string, {n: number, hot: boolean, word: string}>}}
 */
export const navBadges = signal({});

/** @type {Record<string, () => Promise<{n: number, hot: boolean, word: string}>>} */
const LOADERS = {
  failures: () =>
    get('failures', { status: UNRESOLVED, start: DEFAULT_RANGE, limit: 1, buckets: 1 }).then(
      ({ groups, more }) => ({
        n: groups.length + more,
        hot: groups.length > 0,
        word: T.failures.openGroups,
      }),
    ),
  workers: () =>
    get('workers').then(({ workers }) => ({
      n: workers.filter((each) => each.alive).length,
      hot: workers.some((each) => workerStatus(each) === 'silent'),
      word: T.workers.mood.online.toLowerCase(),
    })),
  queues: () =>
    get('queues').then(({ queues }) => ({
      n: queues.length,
      hot: queues.some((each) => each.growing),
      word: queues.some((each) => each.growing) ? T.queues.growing : '',
    })),
};
/** A broker that cannot tell of its queues will not learn it. */
const available = new Set(Object.keys(LOADERS));

function readAll() {
  if (document.hidden) return;
  for (const name of available)
    LOADERS[name]().then(
      (told) => {
        navBadges.value = { ...navBadges.value, [name]: told };
      },
      (problem) => {
        if (problem.status === 404) available.delete(name);
      },
    );
}

/** They are read as long as the side bar is there. */
export const useNavBadges = () =>
  useEffect(() => {
    const first = setTimeout(readAll, FIRST_DELAY * 1000);
    const timer = setInterval(readAll, REFRESH_INTERVAL * 1000);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, []);
