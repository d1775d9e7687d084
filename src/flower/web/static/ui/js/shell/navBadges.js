// The figures beside the names of pages: groups of failures that nobody settled, workers, queues.

import { get } from '../api.js';
import { LATELY, UNSETTLED } from '../failures/statuses.js';
import { signal, useEffect } from '../lib.js';
import { T } from '../strings.js';
import { moodOf } from '../worker/status.js';

/** Seconds: what the page itself shows comes first. */
const AFTER = 1.5;
const EVERY = 30;

/**
 * By the name of the page; hot: it wants to be looked at.
 * @type {{value: Record<string, {n: number, hot: boolean, word: string}>}}
 */
export const counts = signal({});

/** @type {Record<string, () => Promise<{n: number, hot: boolean, word: string}>>} */
const READ = {
  failures: () =>
    get('failures', { status: UNSETTLED, start: LATELY, limit: 1, buckets: 1 }).then(
      ({ groups, more }) => ({
        n: groups.length + more,
        hot: groups.length > 0,
        word: T.failures.openGroups,
      }),
    ),
  workers: () =>
    get('workers').then(({ workers }) => ({
      n: workers.filter((each) => each.alive).length,
      hot: workers.some((each) => moodOf(each) === 'silent'),
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
const asked = new Set(Object.keys(READ));

function readAll() {
  if (document.hidden) return;
  for (const name of asked)
    READ[name]().then(
      (told) => {
        counts.value = { ...counts.value, [name]: told };
      },
      (problem) => {
        if (problem.status === 404) asked.delete(name);
      },
    );
}

/** They are read as long as the side bar is there. */
export const useCounts = () =>
  useEffect(() => {
    const first = setTimeout(readAll, AFTER * 1000);
    const timer = setInterval(readAll, EVERY * 1000);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, []);
