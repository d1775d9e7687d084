// Entry point: renders the shell and the page of the current URL.

import { loadCurrentUser } from './currentUser.js';
import { useKeyboardShortcuts } from './keyboardShortcuts.js';
import { Component, html, render, useEffect, useLayoutEffect, useState } from './lib.js';
import { startStatusPolling, togglePaused } from './liveStream.js';
import { href, interceptLinks, navigate, route } from './router.js';
import { findRoute, ROUTES } from './routes.js';
import { openCommandPalette } from './shell/commandPalette.js';
import { updateFavicon } from './shell/favicon.js';
import { openKeyboardHelp } from './shell/openKeyboardHelp.js';
import { Page } from './shell/page.js';
import { Sidebar } from './shell/sidebar.js';
import * as T from './strings.js';
import { toggleTheme } from './theme.js';
import { DialogHost } from './ui/dialog.js';
import { EmptyState } from './ui/panels.js';
import { Toasts } from './ui/toast.js';

/** Loaded page modules by route. @type {Map<any, any>} */
const loaded = new Map();

/** Shows an error message instead of a page that fails to render. */
class ErrorBoundary extends Component {
  constructor() {
    super();
    this.state = { error: null };
  }

  componentDidCatch(error) {
    console.error(error);
    this.setState({ error });
  }

  componentDidUpdate(before) {
    if (before.routeKey !== this.props.routeKey && this.state.error) this.setState({ error: null });
  }

  render({ children }, { error }) {
    return error
      ? html`
        <${Page} title=${T.broken.title} live=${false}>
          <${EmptyState}
            title=${T.broken.title}
            actions=${html`<button type="button" class="btn" onClick=${() => location.reload()}>
                ${T.reload}
              </button>`}
          >
            <p>${T.broken.text}</p>
          </${EmptyState}>
        </${Page}>
      `
      : children;
  }
}

function CurrentPage() {
  const { path, query, key } = route.value;
  const match = findRoute(path);
  const [, rerender] = useState(0);
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const module = match && loaded.get(match.route);
  // Not after the next frame, as an effect: the page sends its first requests.
  useLayoutEffect(() => {
    if (!match || module) return undefined;
    let mounted = true;
    match.route.load().then(
      (loadedModule) => {
        loaded.set(match.route, loadedModule);
        if (mounted) rerender((n) => n + 1);
      },
      (error) => {
        if (mounted) setProblem(error);
      },
    );
    return () => {
      mounted = false;
    };
  }, [match?.route]);
  useEffect(() => {
    document.querySelector('.page')?.scrollTo(0, 0);
  }, [path]);
  if (!match)
    return html`
      <${Page} title=${T.notFound.title} live=${false}>
        <${EmptyState}
          title=${T.notFound.title}
          actions=${html`<a class="btn" href=${href('tasks')}>
              ${T.notFound.home}
            </a>`}
        >
          <p>${T.notFound.text}</p>
        </${EmptyState}>
      </${Page}>
    `;
  if (problem && !module)
    return html`
      <${Page} title=${T.broken.title} live=${false}>
        <${EmptyState}
          title=${T.broken.title}
          actions=${html`<button type="button" class="btn" onClick=${() => location.reload()}>
              ${T.reload}
            </button>`}
        >
          <p>${T.broken.text}</p>
        </${EmptyState}>
      </${Page}>
    `;
  if (!module) return html`<main class="page" aria-busy="true"></main>`;
  return html`
    <${ErrorBoundary} routeKey=${key}>
      <${module.default} id=${match.id} query=${query} key=${match.route.name + match.id} />
    </${ErrorBoundary}>
  `;
}

function Shell() {
  useEffect(() => {
    loadCurrentUser();
    updateFavicon();
    return startStatusPolling();
  }, []);
  useKeyboardShortcuts({
    ...Object.fromEntries(
      ROUTES.filter((page) => page.key).map((page) => [
        `g ${page.key}`,
        () => navigate(href(page.path ?? '')),
      ]),
    ),
    palette: openCommandPalette,
    '?': openKeyboardHelp,
    l: togglePaused,
    t: toggleTheme,
    '/': () => {
      const field = document.querySelector('[data-search]');
      if (field instanceof HTMLElement) field.focus();
      else navigate(href('tasks'));
    },
    Escape: () => {
      if (
        document.activeElement instanceof HTMLElement &&
        document.activeElement.matches('input, textarea')
      )
        document.activeElement.blur();
    },
  });
  return html`
    <a
      class="skip"
      href="#main"
      onClick=${(e) => {
        e.preventDefault();
        document.getElementById('main')?.focus();
      }}
    >
      ${T.nav.skip}
    </a>
    <div class="shell">
      <${Sidebar} />
      <${CurrentPage} />
    </div>
    <${Toasts} />
    <${DialogHost} />
  `;
}

interceptLinks((path) => findRoute(path) !== null);
const root = document.getElementById('app');
if (root) {
  root.replaceChildren();
  render(html`<${Shell} />`, root);
}
