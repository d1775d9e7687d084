// Numbers beside the pages in the sidebar: unresolved failures, online workers, queues.

import { get } from '../api.js';
import { DEFAULT_RANGE, UNRESOLVED } from '../failures/statuses.js';
import { signal, useEffect, useState } from '../lib.js';
import { FIGURE_INTERVAL, QUEUE_INTERVAL, useRefreshTimer } from '../refreshTimer.js';
import * as T from '../strings.js';
import { isDown, workerStatus } from '../worker/status.js';

/** Seconds before the first request; the requests of the page itself go first. */
const FIRST_DELAY = 1.5;
/** Seconds between two requests of the failures while no task changes. */
const IDLE_INTERVAL = 30;

/**
 * By page; hot: needs attention.
 * @type {{value: Record<string, {n: number, hot: boolean, word: string}>}}
 */
export const navBadges = signal({});

/** @type {Record<string, () => Promise<{n: number, hot: boolean, word: string}>>} */
const LOADERS = {
  failures: () =>
    get('failures', { status: UNRESOLVED, start: DEFAULT_RANGE, limit: 1, buckets: 1 }).then(
      ({ failures, more }) => ({
        n: failures.length + more,
        hot: failures.length > 0,
        word: T.nav.unresolvedGroups,
      }),
    ),
  workers: () =>
    get('workers').then(({ workers }) => ({
      n: workers.filter((each) => !isDown(each)).length,
      hot: workers.some((each) => workerStatus(each) === 'silent'),
      word: T.nav.onlineWorkers,
    })),
  queues: () =>
    get('queues').then(({ queues }) => ({
      n: queues.length,
      hot: queues.some((each) => each.growing),
      word: queues.some((each) => each.growing) ? T.nav.growing : '',
    })),
};
/** Badges whose request does not respond 404: some brokers have no queue statistics. */
const available = new Set(Object.keys(LOADERS));

/** @param {string[]} names */
function load(names) {
  if (document.hidden) return;
  for (const name of names) {
    if (available.has(name))
      LOADERS[name]().then(
        (badge) => {
          navBadges.value = { ...navBadges.value, [name]: badge };
        },
        (problem) => {
          if (problem.status === 404) available.delete(name);
        },
      );
  }
}

/** Loads the badges while the sidebar is mounted. */
export function useNavBadges() {
  const [isStarted, setIsStarted] = useState(false);
  useEffect(() => {
    const first = setTimeout(() => setIsStarted(true), FIRST_DELAY * 1000);
    return () => clearTimeout(first);
  }, []);
  const refresh = useRefreshTimer(IDLE_INTERVAL);
  const workerRefresh = useRefreshTimer(FIGURE_INTERVAL, FIGURE_INTERVAL);
  const queueRefresh = useRefreshTimer(QUEUE_INTERVAL, QUEUE_INTERVAL);
  useEffect(() => {
    if (isStarted) load(['failures']);
  }, [isStarted, refresh]);
  useEffect(() => {
    if (isStarted) load(['workers']);
  }, [isStarted, workerRefresh]);
  useEffect(() => {
    if (isStarted) load(['queues']);
  }, [isStarted, queueRefresh]);
}
