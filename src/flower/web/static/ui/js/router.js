// Client-side routing. The URL holds the state of a page. All URLs are relative to <base href>, which
// contains the URL prefix.
import { signal } from './lib.js';

const base = new URL(document.baseURI).pathname;

/** The URL of a page: `href('task/1')`. @param {string} path */
export const href = (path) => base + path.replace(/^\//, '');

/**
 * A path segment, percent-encoded: any task id, worker or queue name.
 * @param {string} text
 */
export const encodeSegment = (text) =>
  encodeURIComponent(text.toWellFormed ? text.toWellFormed() : text);

/** A URL with a query string; empty values are omitted.
 * @param {string} path @param {Record<string, string | number | null | undefined>} query */
export function address(path, query = {}) {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    if (value !== '' && value != null) params.set(key, String(value));
  const text = params.toString();
  return href(path) + (text ? `?${text}` : '');
}

/**
 * The URL of the tasks page with a query.
 * @param {string} q
 * @param {Record<string, string>} more
 */
export const searchAddress = (q, more = {}) => address('tasks', { q, ...more });

function readLocation() {
  const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : '';
  return { path, query: new URLSearchParams(location.search), key: path + location.search };
}

/** The current route: `path` without prefix and leading slash, `query`, `key` (both as text). */
export const route = signal(readLocation());

addEventListener('popstate', () => {
  route.value = readLocation();
});

/** Opens a page.
 * @param {string} target a URL as returned by `href` @param {{replace?: boolean}} how */
export function navigate(target, { replace = false } = {}) {
  if (target === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', target);
  route.value = readLocation();
}

/**
 * Changes the query string of this page; empty values are removed. `replace` adds no history entry.
 * @param {Record<string, string | number | null | undefined>} patch
 * @param {{replace?: boolean}} how
 */
export function setQuery(patch, { replace = false } = {}) {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(patch)) {
    if (value === '' || value == null) query.delete(key);
    else query.set(key, String(value));
  }
  const text = query.toString();
  navigate(location.pathname + (text ? `?${text}` : ''), { replace });
}

/**
 * Makes links to pages navigate without loading a document.
 * @param {(path: string) => boolean} isPage
 */
export function interceptLinks(isPage) {
  document.addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
    if (
      !link ||
      event.defaultPrevented ||
      event.button ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const url = new URL(
      /** @type {any} */ (link).href.baseVal ?? /** @type {HTMLAnchorElement} */ (link).href,
      document.baseURI,
    );
    if (
      link.getAttribute('target') ||
      link.hasAttribute('download') ||
      url.origin !== location.origin
    )
      return;
    if (!url.pathname.startsWith(base) || !isPage(url.pathname.slice(base.length))) return;
    event.preventDefault();
    if (url.hash && url.pathname === location.pathname && url.search === location.search) return;
    navigate(url.pathname + url.search);
  });
}
