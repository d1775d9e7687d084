// The search bar: a real input over a mirror of it in colours, a listbox of completions below, and
// what is wrong and where.

import { get } from '../api.js';
import { compact } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import { T } from '../strings.js';
import { Icon } from '../ui/icons.js';
import { tokens } from './tokenizer.js';

const CLOSED = {
  open: false,
  at: -1,
  kind: 'none',
  field: '',
  start: 0,
  end: 0,
  items: /** @type {any[]} */ ([]),
};

/** The text in colours; the part that the problem points at is marked. */
function Mirror({ text, position }) {
  const lead = text.length - text.trimStart().length;
  const bad = position == null ? -1 : Math.min(position + lead, Math.max(0, text.length - 1));
  return tokens(text).map((each) => {
    const cls = [
      each.kind === 'term' ? 'tm' : each.kind === 'word' ? 'w' : each.kind === 'space' ? '' : 'op',
      each.negated ? 'neg' : '',
      bad >= each.start && bad < each.end && each.kind !== 'space' ? 'err' : '',
    ]
      .filter(Boolean)
      .join(' ');
    if (each.kind !== 'term') return html`<span class=${cls}>${each.text}</span>`;
    const head = each.text.slice(0, each.text.length - each.value.length);
    return html`
      <span class=${cls}>
        <span class="k">${head}</span>
        <span class=${`v v-${each.field === 'state' ? each.value.toUpperCase() : ''}`}>
          ${each.value}
        </span>
      </span>
    `;
  });
}

const heading = ({ kind, field }) =>
  ({
    field: T.tasks.fields,
    operator: T.tasks.operators,
    key: T.tasks.keysOf(field),
    value: T.tasks.values(field),
  })[kind] ?? '';

/**
 * @param {{value: string, problem: any, onSearch: (text: string) => void, end?: any}} props
 * problem: what the server said of `value`, or null
 */
export function SearchBox({ value, problem, onSearch, end = null }) {
  const [text, setText] = useState(value);
  const [list, setList] = useState(CLOSED);
  const input = useRef(/** @type {any} */ (null));
  const mirror = useRef(/** @type {any} */ (null));
  const asked = useRef(/** @type {AbortController | null} */ (null));
  const timer = useRef(0);
  useEffect(() => setText(value), [value]);
  useEffect(
    () => () => {
      asked.current?.abort();
      clearTimeout(timer.current);
    },
    [],
  );

  const close = () => {
    asked.current?.abort();
    clearTimeout(timer.current);
    setList(CLOSED);
  };
  const ask = (typed, position) => {
    asked.current?.abort();
    clearTimeout(timer.current);
    const control = new AbortController();
    asked.current = control;
    timer.current = setTimeout(() => {
      get(
        'suggest',
        { text: typed, position: [...typed.slice(0, position)].length, limit: 12 },
        { signal: control.signal },
      ).then(
        (told) => {
          if (!control.signal.aborted)
            setList({
              open: told.completions.length > 0,
              at: -1,
              kind: told.kind,
              field: told.field,
              start: told.start,
              end: told.end,
              items: told.completions,
            });
        },
        () => {
          if (!control.signal.aborted) setList(CLOSED);
        },
      );
    }, 60);
  };
  // The server counts characters, JavaScript halves of some of them.
  const index = (characters, all) => [...all].slice(0, characters).join('').length;
  const take = (item) => {
    const [from, to] = [index(list.start, text), index(list.end, text)];
    const goesOn = /[:.=<>]$/.test(item.text) || list.kind === 'operator';
    const put = item.text + (goesOn ? '' : ' ');
    const next = text.slice(0, from) + put + (goesOn ? text.slice(to) : text.slice(to).trimStart());
    setText(next);
    const caret = from + put.length;
    requestAnimationFrame(() => {
      input.current.focus();
      input.current.setSelectionRange(caret, caret);
    });
    if (goesOn) ask(next, caret);
    else {
      close();
      onSearch(next.trim());
    }
  };
  const key = (event) => {
    const n = list.open ? list.items.length : 0;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && n) {
      setList({ ...list, at: (list.at + step + n + (list.at < 0 && step < 0 ? 1 : 0)) % n });
      event.preventDefault();
    } else if (event.key === 'ArrowDown') {
      ask(text, input.current.selectionStart);
      event.preventDefault();
    } else if (event.key === 'Tab' && n && !event.shiftKey) {
      take(list.items[Math.max(0, list.at)]);
      event.preventDefault();
    } else if (event.key === 'Enter') {
      if (n && list.at >= 0) take(list.items[list.at]);
      else {
        close();
        onSearch(text.trim());
      }
      event.preventDefault();
    } else if (event.key === 'Escape') {
      if (list.open) close();
      else input.current.blur();
      event.stopPropagation();
    }
  };
  const typed = (event) => {
    setText(event.target.value);
    ask(event.target.value, event.target.selectionStart);
  };
  const shownProblem = problem && text.trim() === value.trim() ? problem : null;
  return html`
    <div class="sb" role="search">
      <div class=${`sb-box${shownProblem ? ' wrong' : ''}`}>
        <${Icon} n="search" />
        <div class="sb-in">
          <div class="sb-hl" ref=${mirror} aria-hidden="true">
            <${Mirror} text=${text} position=${shownProblem?.position} />
          </div>
          <input
            ref=${input}
            data-search
            value=${text}
            placeholder=${T.tasks.placeholder}
            spellcheck=${false}
            autocomplete="off"
            autocapitalize="none"
            maxlength="2048"
            role="combobox"
            aria-label=${T.tasks.searchLabel}
            aria-expanded=${list.open ? 'true' : 'false'}
            aria-controls="suggestions"
            aria-autocomplete="list"
            aria-activedescendant=${list.at >= 0 ? `suggestion-${list.at}` : null}
            aria-invalid=${shownProblem ? 'true' : null}
            aria-describedby=${shownProblem ? 'search-problem' : null}
            onInput=${typed}
            onFocus=${(e) => {
              if (!e.target.value) ask('', 0);
            }}
            onKeyDown=${key}
            onBlur=${close}
            onScroll=${(e) => {
              mirror.current.style.translate = `${-e.target.scrollLeft}px 0`;
            }}
          />
        </div>
        ${
          text
            ? html`
              <button
                type="button"
                class="btn quiet icon"
                aria-label=${T.tasks.clear}
                title=${T.tasks.clear}
                onClick=${() => {
                  setText('');
                  onSearch('');
                  input.current.focus();
                }}
              >
                <${Icon} n="x" />
              </button>
            `
            : html`<kbd>/</kbd>`
        }
        ${end}
      </div>
      <div class="pop" hidden=${!list.open}>
        <h2>${heading(list)}</h2>
        <ul id="suggestions" role="listbox" aria-label=${heading(list) || T.tasks.fields}>
          ${list.items.map(
            (item, i) => html`
              <li
                id=${`suggestion-${i}`}
                role="option"
                aria-selected=${i === list.at ? 'true' : 'false'}
                onMouseDown=${(e) => {
                  e.preventDefault();
                  take(item);
                }}
              >
                <code>${line(item.text, 120)}</code>
                <span>${line(item.sentence, 120)}</span>
                ${
                  item.count != null
                    ? html`<b>${compact(item.count)}</b>`
                    : item.example && html`<i>${line(item.example, 60)}</i>`
                }
              </li>
            `,
          )}
        </ul>
        <footer>
          <span>
            <kbd>↑</kbd> <kbd>↓</kbd> ${T.tasks.choose}
          </span>
          <span>
            <kbd>Tab</kbd> ${T.tasks.complete}
          </span>
          <span>
            <kbd>Enter</kbd> ${T.tasks.submit}
          </span>
        </footer>
      </div>
      ${
        shownProblem &&
        html`
          <p class="sb-problem" id="search-problem" role="alert">
            <b>${shownProblem.message}</b>
            ${
              shownProblem.hint &&
              html`
                ${' '}
                <span>${shownProblem.hint}</span>
              `
            }
          </p>
        `
      }
    </div>
  `;
}
