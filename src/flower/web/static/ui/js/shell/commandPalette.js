// Ctrl+K: pages, a task by its id, types, workers, queues, saved searches, actions.

import { get } from '../api.js';
import { compact } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import { togglePaused } from '../liveStream.js';
import { encodeSegment, href, navigate, searchAddress } from '../router.js';
import { ROUTES } from '../routes.js';
import { savedSearches } from '../savedSearches.js';
import { T } from '../strings.js';
import { toggleTheme } from '../theme.js';
import { quoted } from '../ui/components.js';
import { showDialog } from '../ui/dialog.js';
import { Icon } from '../ui/icons.js';
import { openKeyboardHelp } from './keyboardHelp.js';

/** @typedef {{kind: string, text: string, act: () => void, note?: string, icon: string}} Place */

export const openCommandPalette = () =>
  showDialog({
    title: T.jump.title,
    wide: true,
    body: (close) => html`<${CommandPalette} close=${close} />`,
  });

/** What needs no question. @returns {Place[]} */
const staticEntries = () =>
  /** @type {Place[]} */ ([
    ...ROUTES.filter((page) => page.nav).map((page) => ({
      kind: 'page',
      text: T.pages[page.name],
      icon: page.icon,
      act: () => navigate(href(page.path ?? '')),
    })),
    ...(savedSearches.value ?? []).map((saved) => ({
      kind: 'saved',
      text: saved.name,
      icon: 'save',
      act: () => navigate(searchAddress(saved.query)),
    })),
    { kind: 'action', text: T.jump.actions.theme, icon: 'sun', act: toggleTheme },
    { kind: 'action', text: T.jump.actions.live, icon: 'bolt', act: togglePaused },
    {
      kind: 'action',
      text: T.jump.actions.keys,
      icon: 'key',
      act: () => {
        setTimeout(openKeyboardHelp);
      },
    },
  ]);

/**
 * What the records have under this text.
 * @param {string} text
 * @param {AbortSignal} signal
 * @returns {Promise<Place[]>}
 */
async function searchRecords(text, signal) {
  const nothing = () => null;
  const [task, facets] = await Promise.all([
    /^[\w-]{8,}$/.test(text)
      ? get(
          'tasks',
          { query: `uuid:${quoted(text)}`, columns: 'name', limit: 5 },
          { signal },
        ).catch(nothing)
      : null,
    get('facets', { facets: 'name,worker,queue', containing: text, limit: 5 }, { signal }).catch(
      nothing,
    ),
  ]);
  const each = (facet, kind, icon, target) =>
    (facets?.facets?.[facet]?.values ?? [])
      .filter((one) => one.value)
      .map((one) => ({
        kind,
        icon,
        text: one.value,
        note: compact(one.count),
        act: () => navigate(target(one.value)),
      }));
  return [
    ...(task?.tasks ?? []).map((one) => ({
      kind: 'task',
      icon: 'tasks',
      text: one.uuid,
      note: one.name ?? '',
      act: () => navigate(href(`task/${encodeSegment(one.uuid)}`)),
    })),
    ...each('name', 'type', 'tasks', (name) => searchAddress(`name:=${quoted(name)}`)),
    ...each('worker', 'worker', 'workers', (name) => href(`worker/${encodeSegment(name)}`)),
    ...each('queue', 'queue', 'queues', (name) => searchAddress(`queue:=${quoted(name)}`)),
  ];
}

function CommandPalette({ close }) {
  const [text, setText] = useState('');
  const [found, setFound] = useState(/** @type {Place[]} */ ([]));
  const [at, setAt] = useState(0);
  const list = useRef(/** @type {any} */ (null));
  const typed = text.trim();
  useEffect(() => {
    setFound([]);
    if (!typed) return undefined;
    const control = new AbortController();
    const soon = setTimeout(
      () =>
        searchRecords(typed, control.signal).then((places) => {
          if (!control.signal.aborted) setFound(places);
        }),
      120,
    );
    return () => {
      clearTimeout(soon);
      control.abort();
    };
  }, [typed]);
  const lower = typed.toLowerCase();
  const places = [
    ...staticEntries().filter((one) => one.text.toLowerCase().includes(lower)),
    ...found,
  ];
  if (typed)
    places.push({
      kind: 'page',
      text: T.jump.search(typed),
      icon: 'search',
      act: () => navigate(searchAddress(typed)),
    });
  const here = Math.min(at, places.length - 1);
  const choose = (one) => {
    close(null);
    one.act();
  };
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      setAt((here + step + places.length) % places.length);
      event.preventDefault();
    }
    if (event.key === 'Enter' && places[here]) {
      event.preventDefault();
      choose(places[here]);
    }
  };
  useEffect(() => {
    list.current?.children[here]?.scrollIntoView({ block: 'nearest' });
  }, [here]);
  return html`
    <div class="jumpbox">
      <div class="sb-box">
        <${Icon} n="search" />
        <input
          autofocus
          value=${text}
          placeholder=${T.jump.placeholder}
          role="combobox"
          aria-label=${T.jump.title}
          aria-expanded="true"
          aria-controls="jump-list"
          aria-activedescendant=${places[here] ? `jump-${here}` : null}
          spellcheck=${false}
          autocomplete="off"
          onInput=${(e) => {
            setText(e.target.value);
            setAt(0);
          }}
          onKeyDown=${key}
        />
      </div>
      <ul id="jump-list" role="listbox" aria-label=${T.jump.title} ref=${list}>
        ${places.map(
          (one, i) => html`
            <li
              id=${`jump-${i}`}
              role="option"
              aria-selected=${i === here ? 'true' : 'false'}
              onMouseMove=${() => setAt(i)}
              onClick=${() => choose(one)}
            >
              <${Icon} n=${one.icon} />
              <span class="trunc">${line(one.text, 120)}</span>
              <small>${line(one.note ?? '', 60)}</small>
              <em>${T.jump.kinds[one.kind]}</em>
            </li>
          `,
        )}
      </ul>
    </div>
  `;
}
