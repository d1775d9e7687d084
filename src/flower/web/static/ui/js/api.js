// The API client: addresses, JSON, problems, the login and the token against foreign sites.

import { bootstrapData } from './bootstrapData.js';
import { visible } from './format/text.js';
import { href } from './router.js';
import { T } from './strings.js';

/**
 * What went wrong, in the shape that the API has for it. `position` counts characters of the query
 * from 0.
 */
export class Problem extends Error {
  /**
   * @param {{code?: string, message?: string, hint?: string, position?: number}} told
   * @param {number} status
   */
  constructor(told, status) {
    super(visible(told.message || T.problem.unknown));
    this.code = told.code || 'error';
    this.hint = visible(told.hint || '');
    this.position = told.position ?? null;
    this.status = status;
  }
}

/**
 * @param {string} path below /api/v1
 * @param {Record<string, any>} query what is empty is left out
 */
export function apiAddress(path, query = {}) {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === '' || value == null || (Array.isArray(value) && !value.length)) continue;
    given.set(key, Array.isArray(value) ? value.join(',') : String(value));
  }
  const text = given.toString();
  return href(`api/v1/${path}${text ? `?${text}` : ''}`);
}

/** The cookie that the server wants to see again in a header of what changes something. */
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

/** A body that is JSON already: numbers in it go as they were written. */
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

/** Milliseconds of a processor that the server has worked for this page, as it says itself. */
export const serverCpu = { ms: 0 };

async function request(target, { headers = {}, ...options }) {
  let answer;
  try {
    answer = await fetch(target, {
      ...options,
      headers: { accept: 'application/json', ...headers },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem({ code: 'away', message: T.problem.away, hint: T.problem.awayHint }, 0);
  }
  serverCpu.ms += Number(
    /cpu;dur=([\d.]+)/.exec(answer.headers.get('server-timing') ?? '')?.[1] ?? 0,
  );
  if (answer.ok) return answer.json();
  throw await readProblem(answer);
}

/**
 * The problem that an answer tells. Somebody who is not logged in any more is sent to the login.
 * @param {Response} answer
 */
export async function readProblem(answer) {
  if (answer.status === 401 && bootstrapData.login) goToLogin();
  let told = {};
  try {
    told = (await answer.json()).error ?? {};
  } catch {
    /* no JSON: a proxy spoke */
  }
  return new Problem(
    { message: `${answer.status} ${answer.statusText}`.trim(), ...told },
    answer.status,
  );
}

function goToLogin() {
  location.assign(href(`login?next=${encodeURIComponent(location.pathname + location.search)}`));
}
