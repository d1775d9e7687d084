// Client of /api/v1: URLs, JSON, errors, the CSRF token, redirect to the sign-in page.

import { bootstrapData } from './bootstrapData.js';
import { visible } from './format/text.js';
import { href } from './router.js';
import * as T from './strings.js';

/**
 * An error of the API or of the connection (`code` is `unreachable`, `status` 0). `position` is the
 * index of a character in the query.
 */
export class Problem extends Error {
  /**
   * @param {{code?: string, message?: string, hint?: string, position?: number}} error
   * @param {number} status
   */
  constructor(error, status) {
    super(visible(error.message || T.problem.unknown));
    this.code = error.code || 'internal_error';
    this.hint = visible(error.hint || '');
    this.position = error.position ?? null;
    this.status = status;
  }
}

/**
 * @param {string} path below /api/v1
 * @param {Record<string, any>} query empty values are omitted
 */
export function apiAddress(path, query = {}) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === '' || value == null || (Array.isArray(value) && !value.length)) continue;
    params.set(key, Array.isArray(value) ? value.join(',') : String(value));
  }
  const text = params.toString();
  return href(`api/v1/${path}${text ? `?${text}` : ''}`);
}

/** The CSRF token; a request that changes data repeats the cookie's value in a header. */
export function readCsrfToken() {
  return (
    document.cookie
      .split('; ')
      .find((each) => each.startsWith('_xsrf='))
      ?.slice(6) ?? ''
  );
}

/**
 * @param {string} path
 * @param {Record<string, any>} query
 * @param {{signal?: AbortSignal}} how
 * @returns {Promise<any>}
 */
export const get = (path, query = {}, { signal } = {}) =>
  request(apiAddress(path, query), { signal });

/** A request body that is already JSON, so that numbers keep the text that the user typed. */
export class RawJson {
  /** @param {Record<string, string>} parts JSON texts by key */
  constructor(parts) {
    this.text = `{${Object.entries(parts)
      .map(([key, text]) => `${JSON.stringify(key)}: ${text}`)
      .join(', ')}}`;
  }
}

/** @param {string} path @param {any} body @returns {Promise<any>} */
export const post = (path, body = undefined) => send('POST', path, body);

/** @param {string} path @param {any} body @returns {Promise<any>} */
export const put = (path, body) => send('PUT', path, body);

/** @param {string} path @returns {Promise<any>} */
export const remove = (path) => send('DELETE', path, undefined);

function send(method, path, body) {
  const headers = {
    'x-xsrftoken': readCsrfToken(),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  return request(apiAddress(path), {
    method,
    headers,
    body:
      body instanceof RawJson ? body.text : body === undefined ? undefined : JSON.stringify(body),
  });
}

/** CPU time of the server for this page in milliseconds, from the Server-Timing header. */
export const serverCpu = { ms: 0 };

async function request(target, { headers = {}, ...options }) {
  let response;
  try {
    response = await fetch(target, {
      ...options,
      headers: { accept: 'application/json', ...headers },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(
      { code: 'unreachable', message: T.problem.unreachable, hint: T.problem.unreachableHint },
      0,
    );
  }
  serverCpu.ms += Number(
    /cpu;dur=([\d.]+)/.exec(response.headers.get('server-timing') ?? '')?.[1] ?? 0,
  );
  if (response.ok) return response.json();
  throw await readProblem(response);
}

/**
 * The error of a response. Redirects to the sign-in page when the session has expired.
 * @param {Response} response
 */
export async function readProblem(response) {
  if (response.status === 401 && bootstrapData.login) goToLogin();
  let error = {};
  try {
    error = (await response.json()).error ?? {};
  } catch {
    /* not JSON: the error page of a proxy */
  }
  return new Problem(
    { message: `${response.status} ${response.statusText}`.trim(), ...error },
    response.status,
  );
}

function goToLogin() {
  location.assign(href(`login?next=${encodeURIComponent(location.pathname + location.search)}`));
}
