// Arguments, result and custom events: as trees whose leaves are pieces of the text, and as that
// text. Never re-serialised.

import { bytes } from '../format/numbers.js';
import { parse, plain } from '../format/python.js';
import { visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import { T } from '../strings.js';
import { CopyButton, Segmented } from '../ui/components.js';

/** Characters that are shown before one asks for all. */
const MAX_TEXT = 64 * 1024;
const OPEN_DEPTH = 3;
const MAX_ITEMS = 200;
const REDACTED = /^(['"])(?:\*{3,}|\[redacted\])\1$/;

/** A long text, folded. @param {{text: string}} props */
export function CollapsedText({ text }) {
  const [all, setAll] = useState(false);
  const long = text.length > MAX_TEXT && !all;
  return html`
    <pre class="plain" tabindex="0">
      ${visible(long ? text.slice(0, MAX_TEXT) : text)}
      ${long && '…'}
    </pre>
    ${
      long &&
      html`
        <button type="button" class="btn quiet unfold" onClick=${() => setAll(true)}>
          ${T.task.fold(bytes(text.length))}
        </button>
      `
    }
  `;
}

function Leaf({ node }) {
  if (REDACTED.test(node.text))
    return html`
      <span class="red" title=${visible(node.text)}>
        ${T.task.redacted}
      </span>
    `;
  const cls = { text: 'tok-s', number: 'tok-n', word: 'tok-k', object: 'tok-o' }[node.kind] ?? '';
  const long = node.text.length > 4000;
  return long
    ? html`
      <span class=${`${cls} long`}>
        <${CollapsedText} text=${node.text} />
      </span>
    `
    : html`<span class=${cls}>${visible(node.text)}</span>`;
}

function Branch({ node, name, depth, index }) {
  const [open, setOpen] = useState(depth < OPEN_DEPTH);
  const [most, setMost] = useState(MAX_ITEMS);
  const label =
    name !== null && html`<span class=${`k${index ? ' ix' : ''}`}>${visible(name)}</span>`;
  const pad = { '--d': depth };
  if (!node.items)
    return html`
      <div class="r" style=${pad}>
        ${label}
        <${Leaf} node=${node} />
      </div>
    `;
  const size = T.task.sizes[node.kind](node.items.length);
  if (!node.items.length)
    return html`
      <div class="r" style=${pad}>
        ${label}
        <span>${node.text}</span>
        <span class="ty">${size}</span>
      </div>
    `;
  return html`
    <div class="r" style=${pad}>
      <button
        type="button"
        class="tw"
        aria-expanded=${open ? 'true' : 'false'}
        onClick=${() => setOpen(!open)}
      >
        <span class="arrow" aria-hidden="true">
          ${open ? '▾' : '▸'}
        </span>
        ${label}
        <span class="ty">${size}</span>
      </button>
    </div>
    ${
      open &&
      node.items.slice(0, most).map(
        (each, i) => html`
          <${Branch}
            node=${each.value}
            name=${each.key ? plain(each.key) : node.kind === 'set' ? null : String(i)}
            index=${!each.key}
            depth=${depth + 1}
          />
        `,
      )
    }
    ${
      open &&
      node.items.length > most &&
      html`
        <div class="r" style=${{ '--d': depth + 1 }}>
          <button type="button" class="link" onClick=${() => setMost(most * 10)}>
            ${T.tasks.moreValues(node.items.length - most)}
          </button>
        </div>
      `
    }
  `;
}

/** @param {{text: string | null, empty: string, none?: string}} props */
export function Value({ text, empty, none = '' }) {
  const node = text == null ? null : parse(text);
  const [asText, setAsText] = useState(false);
  if (text == null) return html`<p class="r muted">${empty}</p>`;
  if (node?.items && !node.items.length && none) return html`<p class="r muted">${none}</p>`;
  const items = node?.items ?? [];
  const tree = !!node?.items;
  return html`
    <div class="val">
      ${
        tree &&
        html`
          <div class="val-h">
            <${Segmented}
              label=${T.task.payload}
              items=${[['tree', T.task.tree], ['text', T.task.text]]}
              value=${asText ? 'text' : 'tree'}
              onPick=${(each) => setAsText(each === 'text')}
            />
          </div>
        `
      }
      ${
        tree && !asText
          ? html`
            <div class="kv">
              ${items.slice(0, MAX_ITEMS).map(
                (each, i) => html`
                  <${Branch}
                    node=${each.value}
                    name=${each.key ? plain(each.key) : node.kind === 'set' ? null : String(i)}
                    index=${!each.key}
                    depth=${0}
                  />
                `,
              )}
              ${
                items.length > MAX_ITEMS &&
                html`<p class="r muted">${T.tasks.moreValues(items.length - MAX_ITEMS)}</p>`
              }
            </div>
          `
          : html`
            ${!node && /\.\.\.|…/.test(text) && html`<p class="r muted small">${T.task.cut}</p>`}
            <${CollapsedText} text=${text} />
          `
      }
    </div>
  `;
}

function Custom({ data }) {
  const kinds = Object.entries(data ?? {});
  if (!kinds.length) return html`<p class="r muted">${T.task.nothing.data}</p>`;
  return html`
    <div class="kv">
      ${kinds.map(
        ([kind, fields]) => html`
          <div class="r" style=${{ '--d': 0 }}>
            <span class="ty">${visible(kind)}</span>
          </div>
          ${Object.entries(fields).map(
            ([key, value]) => html`
              <div class="r" style=${{ '--d': 1 }}>
                <span class="k">${visible(key)}</span>
                <span>
                  ${visible(typeof value === 'string' ? value : JSON.stringify(value))}
                </span>
              </div>
            `,
          )}
        `,
      )}
    </div>
  `;
}

const size = (text) => {
  const node = parse(text);
  return node?.items ? node.items.length : null;
};

/** @param {{task: any}} props */
export function Payload({ task }) {
  const tabs = [
    ['args', T.task.args, size(task.args)],
    ['kwargs', T.task.kwargs, size(task.kwargs)],
    ['result', T.task.result, null],
    ...(task.data && Object.keys(task.data).length
      ? [['data', T.task.data, Object.keys(task.data).length]]
      : []),
  ];
  const full = (text) => (size(text) ?? 0) > 0;
  const [chosen, setChosen] = useState(
    full(task.kwargs) ? 'kwargs' : full(task.args) || task.result == null ? 'args' : 'result',
  );
  const at = tabs.findIndex(([key]) => key === chosen);
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    setChosen(tabs[(at + step + tabs.length) % tabs.length][0]);
    requestAnimationFrame(() => document.getElementById('payload-tab')?.focus());
  };
  const text = task[chosen];
  return html`
    <section class="panel" aria-label=${T.task.payload}>
      <div class="tabs">
        <div role="tablist" aria-label=${T.task.payload} onKeyDown=${move}>
          ${tabs.map(
            ([key, label, n]) => html`
              <button
                type="button"
                role="tab"
                key=${key}
                id=${key === chosen ? 'payload-tab' : null}
                aria-controls="payload"
                aria-selected=${key === chosen ? 'true' : 'false'}
                tabindex=${key === chosen ? 0 : -1}
                onClick=${() => setChosen(key)}
              >
                ${label}
                ${n != null && html`<small>${n}</small>`}
              </button>
            `,
          )}
        </div>
        <span class="end">
          ${typeof text === 'string' && html`<${CopyButton} text=${text} what=${T.copy.text} />`}
        </span>
      </div>
      <div role="tabpanel" id="payload" aria-labelledby="payload-tab" class="payload">
        ${
          chosen === 'data'
            ? html`<${Custom} data=${task.data} />`
            : html`
              <${Value}
                key=${chosen}
                text=${text}
                empty=${
                  chosen === 'result' && task.state === 'FAILURE'
                    ? T.task.nothing.failed
                    : T.task.nothing[chosen]
                }
                none=${T.task.none[chosen]}
              />
            `
        }
      </div>
    </section>
  `;
}
