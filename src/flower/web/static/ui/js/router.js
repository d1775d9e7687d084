// The address is the state. Everything is relative to <base href>, which holds the url prefix.
import { signal } from './lib.js';

const base = new URL(document.baseURI).pathname;

/** The address of a path of ours: `href('task/1')`. @param {string} path */
export const href = (path) => base + path.replace(/^\//, '');

/**
 * A part of a path, percent-encoded so that any id, name or queue survives.
 * @param {string} text
 */
export const encodeSegment = (text) =>
  encodeURIComponent(text.toWellFormed ? text.toWellFormed() : text);

/** The address with a query string; what is empty is left out.
 * @param {string} path @param {Record<string, string | number | null | undefined>} query */
export function address(path, query = {}) {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query))
    if (value !== '' && value != null) given.set(key, String(value));
  const text = given.toString();
  return href(path) + (text ? `?${text}` : '');
}

/**
 * The address of all tasks that a query finds.
 * @param {string} q
 * @param {Record<string, string>} more
 */
export const searchAddress = (q, more = {}) => address('tasks', { q, ...more });

function readLocation() {
  const path = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : '';
  return { path, query: new URLSearchParams(location.search), key: path + location.search };
}

/** {path: without the prefix and its slash, as it was sent; query}. */
export const route = signal(readLocation());

addEventListener('popstate', () => {
  route.value = readLocation();
});

/** Asked before a page is left by us; a page with a form may set it.
 * @param {string} target an address as `href` gives it @param {{replace?: boolean}} how */
export function navigate(target, { replace = false } = {}) {
  if (target === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', target);
  route.value = readLocation();
}

/**
 * Change the query string of this page. What is empty goes. Typing replaces, choosing pushes.
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
 * Links of ours change the page without loading it anew.
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
