// The search box: an input over a highlighted copy of its text, a list of completions, and the error
// message of an invalid query.

import { get } from '../api.js';
import { compact } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import * as T from '../strings.js';
import { Icon } from '../ui/icons.js';
import { carryTokens, convertPositions, segments } from './highlight.js';

const CLOSED = {
  open: false,
  at: -1,
  kind: 'none',
  field: '',
  start: 0,
  end: 0,
  items: /** @type {any[]} */ ([]),
};

const CLASSES = { field: 'k', text: 'w', operator: 'op', parenthesis: 'op' };

/** The class of a value: states have their colour. */
const valueClass = (field, text) => `v v-${field === 'state' ? text.toUpperCase() : ''}`;

/** The highlighted text; the token at the position of the error is marked. */
function Highlighted({ text, tokens, position }) {
  const lead = text.length - text.trimStart().length;
  const wrong = position == null ? -1 : Math.min(position + lead, Math.max(0, text.length - 1));
  return segments(text, tokens).map(({ text: part, token, start }) => {
    const cls = [
      token?.kind === 'value' ? valueClass(token.field, part) : (CLASSES[token?.kind ?? ''] ?? ''),
      token?.negated && 'neg',
      wrong >= start && wrong < start + part.length && part.trim() && 'err',
    ];
    return html`<span class=${cls.filter(Boolean).join(' ')}>${part}</span>`;
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
 * problem: the error of the query `value`, or null
 */
export function SearchBox({ value, problem, onSearch, end = null }) {
  const [text, setText] = useState(value);
  const [list, setList] = useState(CLOSED);
  const input = useRef(/** @type {any} */ (null));
  const mirror = useRef(/** @type {any} */ (null));
  const request = useRef(/** @type {AbortController | null} */ (null));
  const timer = useRef(0);
  /** The tokens of `text`; `exact` is the last text that the server has answered for. */
  const known = useRef({
    text: '',
    tokens: /** @type {any[]} */ ([]),
    warnings: /** @type {any[]} */ ([]),
    exact: '',
  });
  const [, rerender] = useState(0);
  known.current.tokens = carryTokens(known.current.text, known.current.tokens, text);
  known.current.text = text;
  const cancel = () => {
    request.current?.abort();
    clearTimeout(timer.current);
  };
  useEffect(() => cancel, []);

  const close = () => {
    cancel();
    setList(CLOSED);
  };
  /** Requests the tokens of a text, and what can complete it at a position; opens the list. */
  const complete = (typed, position) => load(typed, position, true, 60);
  const load = (typed, position, isOpen, delay) => {
    cancel();
    const control = new AbortController();
    request.current = control;
    timer.current = setTimeout(() => {
      const limit = isOpen ? 12 : 1;
      get(
        'search/completions',
        { text: typed, position: [...typed.slice(0, position)].length, limit },
        { signal: control.signal },
      ).then(
        (response) => {
          if (control.signal.aborted) return;
          const tokens = convertPositions(typed, response.tokens);
          known.current = { text: typed, tokens, warnings: response.warnings, exact: typed };
          const { kind, field, start, end, completions } = response;
          if (isOpen)
            setList({
              open: completions.length > 0,
              at: -1,
              kind,
              field,
              start,
              end,
              items: completions,
            });
          else rerender((n) => n + 1);
        },
        () => {
          if (!control.signal.aborted) setList(CLOSED);
        },
      );
    }, delay);
  };
  useEffect(() => {
    setText(value);
    if (value && value !== known.current.exact) load(value, 0, false, 0);
  }, [value]);
  // The server counts characters, JavaScript counts UTF-16 code units.
  const index = (characters, all) => [...all].slice(0, characters).join('').length;
  const apply = (item) => {
    const [from, to] = [index(list.start, text), index(list.end, text)];
    const continues = /[:.=<>]$/.test(item.text) || list.kind === 'operator';
    const inserted = item.text + (continues ? '' : ' ');
    const rest = continues ? text.slice(to) : text.slice(to).trimStart();
    const next = text.slice(0, from) + inserted + rest;
    setText(next);
    const caret = from + inserted.length;
    requestAnimationFrame(() => {
      input.current.focus();
      input.current.setSelectionRange(caret, caret);
    });
    if (continues) complete(next, caret);
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
      complete(text, input.current.selectionStart);
      event.preventDefault();
    } else if (event.key === 'Tab' && n && !event.shiftKey) {
      apply(list.items[Math.max(0, list.at)]);
      event.preventDefault();
    } else if (event.key === 'Enter') {
      if (n && list.at >= 0) apply(list.items[list.at]);
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
    complete(event.target.value, event.target.selectionStart);
  };
  const shownProblem = problem && text.trim() === value.trim() ? problem : null;
  const isCurrent = text.trim() === value.trim() && known.current.exact.trim() === value.trim();
  const warnings = isCurrent && !shownProblem ? known.current.warnings : [];
  return html`
    <div class="sb" role="search">
      <div class=${`sb-box${shownProblem ? ' wrong' : ''}`}>
        <${Icon} name="search" />
        <div class="sb-in">
          <div class="sb-hl" ref=${mirror} aria-hidden="true">
            <${Highlighted}
              text=${text}
              tokens=${known.current.tokens}
              position=${shownProblem?.position}
            />
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
              if (!e.target.value) complete('', 0);
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
                <${Icon} name="x" />
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
                  apply(item);
                }}
              >
                <code>${line(item.text, 120)}</code>
                <span>${line(item.description, 120)}</span>
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
      ${
        warnings.length > 0 &&
        html`
          <p class="sb-warning" role="status">${warnings.map((each) => each.message).join(' · ')}</p>
        `
      }
    </div>
  `;
}
