// The live updates of a page: one stream of server-sent events, subscribed to by the page that is shown.
// It closes while paused or while the tab is hidden, and resumes after the last received change.

import { apiAddress, get, readCsrfToken, readProblem } from './api.js';
import { bootstrapData } from './bootstrapData.js';
import { effect, signal, useEffect, useRef } from './lib.js';
import { SseParser } from './sseParser.js';

/** connecting, live, paused, idle (hidden tab), reconnecting, none (the server has no stream) */
export const connectionState = signal('connecting');
export const paused = signal(!bootstrapData.auto_refresh);
/**
 * The newest response of `GET /status`, from the stream or requested; null until loaded.
 * @type {{value: any, peek: () => any}}
 */
export const status = signal(null);
/** `GET /health`; null if not available. @type {{value: any, peek: () => any}} */
export const health = signal(null);

export const togglePaused = () => {
  paused.value = !paused.value;
};

/** Seconds without data after which the connection is closed; the server sends a comment every 15. */
const STREAM_TIMEOUT = 40;
/** Seconds after which a hidden tab closes its stream. */
const HIDDEN_TAB_DELAY = 5;
/** Seconds between requests of the status without a stream, and of the health. */
const STATUS_INTERVAL = 1;

const NO_SUBSCRIPTION = { params: {}, handlers: /** @type {Record<string, any>} */ ({}) };
const subscription = signal(NO_SUBSCRIPTION);
const hidden = signal(document.hidden);
/** Number of the last received change of the store; a new stream resumes after it. */
let sequence = /** @type {number | null} */ (null);

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) hidden.value = false;
  else
    setTimeout(() => {
      hidden.value = document.hidden;
    }, HIDDEN_TAB_DELAY * 1000);
});

/**
 * Subscribes the page while it is shown. `handlers` by event (tasks, workers, status, reset, start) are
 * called with the data. A change of `params` opens a new stream.
 * @param {Record<string, any>} params query, start, end, time, columns, topics
 * @param {Record<string, (data: any) => void>} handlers
 */
export function useLiveStream(params, handlers) {
  const latest = useRef(handlers);
  latest.current = handlers;
  const key = JSON.stringify(params);
  useEffect(() => {
    const own = {
      params,
      handlers: Object.fromEntries(
        ['tasks', 'workers', 'status', 'reset', 'start'].map((name) => [
          name,
          (data) => latest.current[name]?.(data),
        ]),
      ),
    };
    subscription.value = own;
    return () => {
      if (subscription.peek() === own) subscription.value = NO_SUBSCRIPTION;
    };
  }, [key]);
}

effect(() => {
  const own = subscription.value;
  if (paused.value) {
    connectionState.value = 'paused';
    return undefined;
  }
  if (hidden.value) {
    connectionState.value = 'idle';
    return undefined;
  }
  const control = new AbortController();
  // Several pages can mount and unmount within one task; only the last one opens a stream.
  const timer = setTimeout(() => {
    keepStreamOpen(own, control.signal);
  }, 0);
  return () => {
    clearTimeout(timer);
    control.abort();
  };
});

async function keepStreamOpen(own, signal) {
  let failures = 0;
  connectionState.value = 'connecting';
  while (!signal.aborted) {
    const openedAt = Date.now();
    const end = await readStream(own, signal).catch((error) => error);
    if (signal.aborted) return;
    if (end?.status === 404 || end?.status === 400) {
      connectionState.value = 'none';
      await pause(60, signal);
      continue;
    }
    failures = Date.now() - openedAt > 10_000 ? 1 : failures + 1;
    connectionState.value = 'reconnecting';
    await pause(
      end?.retry ? end.retry / 1000 : Math.min(15, 2 ** failures / 2) * (0.7 + Math.random() * 0.6),
      signal,
    );
  }
}

/** Reads one connection until it ends. @returns {Promise<any>} the reason: `retry` or `status` */
async function readStream(own, signal) {
  const query = { topics: ['status'], ...own.params, after: sequence };
  const control = new AbortController();
  let timeout = setTimeout(() => control.abort(), STREAM_TIMEOUT * 1000);
  const stop = () => control.abort();
  signal.addEventListener('abort', stop);
  const parser = new SseParser();
  try {
    const response = await fetch(apiAddress('stream', query), {
      signal: control.signal,
      headers: { accept: 'text/event-stream', 'x-xsrftoken': readCsrfToken() },
    });
    if (!response.ok || !response.body) return await readProblem(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return { retry: parser.retry };
      clearTimeout(timeout);
      timeout = setTimeout(() => control.abort(), STREAM_TIMEOUT * 1000);
      for (const each of parser.push(value)) if (each) handleEvent(own, each);
    }
  } finally {
    clearTimeout(timeout);
    signal.removeEventListener('abort', stop);
  }
}

function handleEvent(own, { event, data }) {
  const message = JSON.parse(data);
  if (Number.isFinite(message.sequence)) sequence = message.sequence;
  if (event === 'start') connectionState.value = 'live';
  if (event === 'status') updateStatus(message);
  own.handlers[event]?.(message);
}

function updateStatus(response) {
  status.value = { ...response, receivedAt: Date.now() / 1000 };
  if (sequence === null && Number.isFinite(response.store?.sequence))
    sequence = response.store.sequence;
}

/** Requests the status now, after an action that changes it. */
export const reloadStatus = () => get('status').then(updateStatus, () => {});

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

/** Requests the health, and the status while no stream delivers it. Called once, by the shell. */
export function startStatusPolling() {
  let [hasHealth, stopped, timer] = [true, false, 0];
  const load = async () => {
    if (connectionState.peek() !== 'live') await reloadStatus();
    if (hasHealth)
      await get('health').then(
        (response) => {
          health.value = response;
        },
        (problem) => {
          hasHealth = problem.status !== 404;
        },
      );
  };
  const poll = async () => {
    if (!document.hidden) await load();
    if (!stopped) timer = setTimeout(poll, STATUS_INTERVAL * 1000);
  };
  poll();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
