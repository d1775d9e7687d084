// Command palette (Ctrl+K): pages, task ids, task types, workers, queues, saved searches, actions.

import { get } from '../api.js';
import { compact } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import { togglePaused } from '../liveStream.js';
import { encodeSegment, href, navigate, searchAddress } from '../router.js';
import { ROUTES } from '../routes.js';
import { savedSearches } from '../savedSearches.js';
import * as T from '../strings.js';
import { toggleTheme } from '../theme.js';
import { quoteValue } from '../ui/components.js';
import { showDialog } from '../ui/dialog.js';
import { Icon } from '../ui/icons.js';
import { openKeyboardHelp } from './openKeyboardHelp.js';

/** @typedef {{kind: string, text: string, act: () => void, note?: string, icon: string}} Entry */

export const openCommandPalette = () =>
  showDialog({
    title: T.palette.title,
    wide: true,
    body: (close) => html`<${CommandPalette} close=${close} />`,
  });

/** Entries that need no request. @returns {Entry[]} */
const staticEntries = () =>
  /** @type {Entry[]} */ ([
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
    { kind: 'action', text: T.palette.actions.theme, icon: 'sun', act: toggleTheme },
    { kind: 'action', text: T.palette.actions.live, icon: 'bolt', act: togglePaused },
    {
      kind: 'action',
      text: T.palette.actions.keys,
      icon: 'key',
      act: () => {
        setTimeout(openKeyboardHelp);
      },
    },
  ]);

/**
 * Tasks, task types, workers and queues that match the text.
 * @param {string} text
 * @param {AbortSignal} signal
 * @returns {Promise<Entry[]>}
 */
async function searchRecords(text, signal) {
  const ignoreError = () => null;
  const [task, facets] = await Promise.all([
    /^[\w-]{8,}$/.test(text)
      ? get(
          'tasks',
          { query: `uuid:${quoteValue(text)}`, columns: 'name', limit: 5 },
          { signal },
        ).catch(ignoreError)
      : null,
    get('facets', { facets: 'name,worker,queue', contains: text, limit: 5 }, { signal }).catch(
      ignoreError,
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
    ...each('name', 'type', 'tasks', (name) => searchAddress(`name:=${quoteValue(name)}`)),
    ...each('worker', 'worker', 'workers', (name) => href(`worker/${encodeSegment(name)}`)),
    ...each('queue', 'queue', 'queues', (name) => searchAddress(`queue:=${quoteValue(name)}`)),
  ];
}

function CommandPalette({ close }) {
  const [text, setText] = useState('');
  const [records, setRecords] = useState(/** @type {Entry[]} */ ([]));
  const [at, setAt] = useState(0);
  const list = useRef(/** @type {any} */ (null));
  const typed = text.trim();
  useEffect(() => {
    setRecords([]);
    if (!typed) return undefined;
    const control = new AbortController();
    const timer = setTimeout(
      () =>
        searchRecords(typed, control.signal).then((entries) => {
          if (!control.signal.aborted) setRecords(entries);
        }),
      120,
    );
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [typed]);
  const lower = typed.toLowerCase();
  const entries = [
    ...staticEntries().filter((one) => one.text.toLowerCase().includes(lower)),
    ...records,
  ];
  if (typed)
    entries.push({
      kind: 'page',
      text: T.palette.search(typed),
      icon: 'search',
      act: () => navigate(searchAddress(typed)),
    });
  const active = Math.min(at, entries.length - 1);
  const choose = (one) => {
    close(null);
    one.act();
  };
  const key = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      setAt((active + step + entries.length) % entries.length);
      event.preventDefault();
    }
    if (event.key === 'Enter' && entries[active]) {
      event.preventDefault();
      choose(entries[active]);
    }
  };
  useEffect(() => {
    list.current?.children[active]?.scrollIntoView({ block: 'nearest' });
  }, [active]);
  return html`
    <div class="palette">
      <div class="sb-box">
        <${Icon} name="search" />
        <input
          autofocus
          value=${text}
          placeholder=${T.palette.placeholder}
          role="combobox"
          aria-label=${T.palette.title}
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant=${entries[active] ? `palette-${active}` : null}
          spellcheck=${false}
          autocomplete="off"
          onInput=${(e) => {
            setText(e.target.value);
            setAt(0);
          }}
          onKeyDown=${key}
        />
      </div>
      <ul id="palette-list" role="listbox" aria-label=${T.palette.title} ref=${list}>
        ${entries.map(
          (one, i) => html`
            <li
              id=${`palette-${i}`}
              role="option"
              aria-selected=${i === active ? 'true' : 'false'}
              onMouseMove=${() => setAt(i)}
              onClick=${() => choose(one)}
            >
              <${Icon} name=${one.icon} />
              <span class="trunc">${line(one.text, 120)}</span>
              <small>${line(one.note ?? '', 60)}</small>
              <em>${T.palette.kinds[one.kind]}</em>
            </li>
          `,
        )}
      </ul>
    </div>
  `;
}
