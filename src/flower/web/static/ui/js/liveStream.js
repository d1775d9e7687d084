// What is new, as it happens: one stream for the page, which says what it wants of it. It pauses
// when told, rests while the tab is hidden, goes on where it stopped, and says honestly how it is.

import { apiAddress, get, readCsrfToken, readProblem } from './api.js';
import { bootstrapData } from './bootstrapData.js';
import { effect, signal, useEffect, useRef } from './lib.js';
import { SseParser } from './sseParser.js';

/** connecting, live, paused, resting (hidden tab), reconnecting, none (the server has no stream) */
export const connectionState = signal('connecting');
export const paused = signal(!bootstrapData.auto_refresh);
/**
 * The newest `GET /status`, from the stream or asked for; null until then.
 * @type {{value: any, peek: () => any}}
 */
export const status = signal(null);
/** `GET /health`, or null where nobody knows. @type {{value: any, peek: () => any}} */
export const health = signal(null);

export const togglePaused = () => {
  paused.value = !paused.value;
};

/** Seconds of silence after which a stream is taken for dead: the server comments every 15. */
const STREAM_TIMEOUT = 40;
/** Seconds a hidden tab goes on. */
const HIDDEN_TAB_DELAY = 5;
/** Seconds between looks at the status where no stream tells it. */
const STATUS_INTERVAL = 10;
/** The same while nothing can be said yet, as in the first seconds of a recorder. */
const STARTUP_STATUS_INTERVAL = 2;

const NO_SUBSCRIPTION = { want: {}, handlers: /** @type {Record<string, any>} */ ({}) };
const subscription = signal(NO_SUBSCRIPTION);
const hidden = signal(document.hidden);
/** The last change of the store that was heard of; a new stream goes on after it. */
let sequence = /** @type {number | null} */ (null);

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) hidden.value = false;
  else
    setTimeout(() => {
      hidden.value = document.hidden;
    }, HIDDEN_TAB_DELAY * 1000);
});

/**
 * What this page wants to hear while it is shown. `handlers` by event: tasks, workers, status,
 * reset, hello; they are called with the data. A change of `want` opens the stream anew.
 * @param {Record<string, any>} want query, start, end, time, columns, topics
 * @param {Record<string, (data: any) => void>} handlers
 */
export function useLiveStream(want, handlers) {
  const latest = useRef(handlers);
  latest.current = handlers;
  const key = JSON.stringify(want);
  useEffect(() => {
    const mine = {
      want,
      handlers: Object.fromEntries(
        ['tasks', 'workers', 'status', 'reset', 'hello'].map((name) => [
          name,
          (data) => latest.current[name]?.(data),
        ]),
      ),
    };
    subscription.value = mine;
    return () => {
      if (subscription.peek() === mine) subscription.value = NO_SUBSCRIPTION;
    };
  }, [key]);
}

effect(() => {
  const mine = subscription.value;
  if (paused.value) {
    connectionState.value = 'paused';
    return undefined;
  }
  if (hidden.value) {
    connectionState.value = 'resting';
    return undefined;
  }
  const control = new AbortController();
  // Several pages may come and go within one turn: only the last one opens a stream.
  const soon = setTimeout(() => {
    keepStreamOpen(mine, control.signal);
  }, 0);
  return () => {
    clearTimeout(soon);
    control.abort();
  };
});

async function keepStreamOpen(mine, signal) {
  let failures = 0;
  connectionState.value = 'connecting';
  while (!signal.aborted) {
    const began = Date.now();
    const end = await readStream(mine, signal).catch((error) => error);
    if (signal.aborted) return;
    if (end?.status === 404 || end?.status === 400) {
      connectionState.value = 'none';
      await pause(60, signal);
      continue;
    }
    failures = Date.now() - began > 10_000 ? 1 : failures + 1;
    connectionState.value = 'reconnecting';
    await pause(
      end?.retry ? end.retry / 1000 : Math.min(15, 2 ** failures / 2) * (0.7 + Math.random() * 0.6),
      signal,
    );
  }
}

/** One connection, until it ends. @returns {Promise<any>} why, with `retry` or `status` */
async function readStream(mine, signal) {
  const query = { topics: ['status'], ...mine.want, after: sequence };
  const dead = new AbortController();
  let silent = setTimeout(() => dead.abort(), STREAM_TIMEOUT * 1000);
  const stop = () => dead.abort();
  signal.addEventListener('abort', stop);
  const parser = new SseParser();
  try {
    const answer = await fetch(apiAddress('live', query), {
      signal: dead.signal,
      headers: { accept: 'text/event-stream', 'x-xsrftoken': readCsrfToken() },
    });
    if (!answer.ok || !answer.body) return await readProblem(answer);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return { retry: parser.retry };
      clearTimeout(silent);
      silent = setTimeout(() => dead.abort(), STREAM_TIMEOUT * 1000);
      for (const each of parser.push(value)) if (each) handleEvent(mine, each);
    }
  } finally {
    clearTimeout(silent);
    signal.removeEventListener('abort', stop);
  }
}

function handleEvent(mine, { event, data }) {
  const told = JSON.parse(data);
  if (Number.isFinite(told.sequence)) sequence = told.sequence;
  if (event === 'hello') connectionState.value = 'live';
  if (event === 'status') updateStatus(told);
  mine.handlers[event]?.(told);
}

function updateStatus(told) {
  status.value = { ...told, heard: Date.now() / 1000 };
  if (sequence === null && Number.isFinite(told.store?.sequence)) sequence = told.store.sequence;
}

/** @param {number} seconds @param {AbortSignal} signal */
const pause = (seconds, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, seconds * 1000);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        done(undefined);
      },
      { once: true },
    );
  });

/** Looks at the status where no stream tells it, and at the health. Called once, by the shell. */
export function startStatusPolling() {
  let [knowsHealth, over, timer] = [true, false, 0];
  const read = async () => {
    if (connectionState.peek() !== 'live') await get('status').then(updateStatus, () => {});
    if (knowsHealth)
      await get('health').then(
        (told) => {
          health.value = told;
        },
        (problem) => {
          knowsHealth = problem.status !== 404;
        },
      );
  };
  const look = async () => {
    if (!document.hidden) await read();
    if (!over)
      timer = setTimeout(
        look,
        (health.peek()?.verdict === 'unknown' ? STARTUP_STATUS_INTERVAL : STATUS_INTERVAL) * 1000,
      );
  };
  look();
  return () => {
    over = true;
    clearTimeout(timer);
  };
}
