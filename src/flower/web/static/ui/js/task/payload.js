// Arguments, result and custom event data of a task, as trees and as the recorded text.

import { bytes } from '../format/numbers.js';
import { visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import * as T from '../strings.js';
import { CopyButton, Segmented } from '../ui/components.js';
import { emptyText, keyText } from './literalTree.js';

/** Characters of a text that are shown before it is expanded. */
const MAX_TEXT = 64 * 1024;
const OPEN_DEPTH = 3;
const MAX_ITEMS = 200;
const REDACTED = /^(['"])(?:\*{3,}(?:[a-z-]+\*{3})?|\[redacted\])\1$/;

/** Text that is cut if it is long, with a button that expands it. @param {{text: string}} props */
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
          ${T.task.showAll(bytes(text.length))}
        </button>
      `
    }
  `;
}

const LEAF_CLASSES = {
  string: 'tok-s',
  bytes: 'tok-s',
  number: 'tok-n',
  constant: 'tok-k',
  object: 'tok-o',
};

function Leaf({ node }) {
  if (REDACTED.test(node.text))
    return html`
      <span class="red" title=${visible(node.text)}>
        ${T.task.redacted}
      </span>
    `;
  const cls = LEAF_CLASSES[node.kind] ?? '';
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
  const [limit, setLimit] = useState(MAX_ITEMS);
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
        <span>${emptyText(node)}</span>
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
      node.items.slice(0, limit).map(
        (each, i) => html`
          <${Branch}
            node=${each.value}
            name=${each.key ? keyText(each.key) : node.kind === 'set' ? null : String(i)}
            index=${!each.key}
            depth=${depth + 1}
          />
        `,
      )
    }
    ${
      open &&
      node.items.length > limit &&
      html`
        <div class="r" style=${{ '--d': depth + 1 }}>
          <button type="button" class="link" onClick=${() => setLimit(limit * 10)}>
            ${T.tasks.showMore(node.items.length - limit)}
          </button>
        </div>
      `
    }
  `;
}

/**
 * @param {{text: string | null, node: any, missing: string, empty?: string}} props
 * node: the tree of the text, null if it is truncated or no literal; missing, empty: shown for no text
 * and for an empty container
 */
function Value({ text, node, missing, empty = '' }) {
  const [asText, setAsText] = useState(false);
  if (text == null) return html`<p class="r muted">${missing}</p>`;
  if (node?.items && !node.items.length && empty) return html`<p class="r muted">${empty}</p>`;
  const items = node?.items ?? [];
  const isTree = !!node?.items;
  return html`
    <div class="val">
      ${
        isTree &&
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
        isTree && !asText
          ? html`
            <div class="kv">
              ${items.slice(0, MAX_ITEMS).map(
                (each, i) => html`
                  <${Branch}
                    node=${each.value}
                    name=${each.key ? keyText(each.key) : node.kind === 'set' ? null : String(i)}
                    index=${!each.key}
                    depth=${0}
                  />
                `,
              )}
              ${
                items.length > MAX_ITEMS &&
                html`<p class="r muted">${T.tasks.showMore(items.length - MAX_ITEMS)}</p>`
              }
            </div>
          `
          : html`
            ${!node && /\.\.\.|…/.test(text) && html`<p class="r muted small">${T.task.truncated}</p>`}
            <${CollapsedText} text=${text} />
          `
      }
    </div>
  `;
}

function CustomData({ data }) {
  const kinds = Object.entries(data ?? {});
  if (!kinds.length) return html`<p class="r muted">${T.task.notRecorded.data}</p>`;
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

/** The masked values of a field, and the redaction rule of each. @param {{values: any[]}} props */
function Masked({ values }) {
  if (!values.length) return null;
  return html`
    <p class="r muted small">
      ${T.task.maskedValues(values.map((each) => visible(T.task.maskedValue(each))).join(', '))}
    </p>
  `;
}

/** @param {{task: any}} props response of `GET /tasks/{uuid}` */
export function Payload({ task }) {
  const size = (key) => task.values?.[key]?.items?.length ?? null;
  const tabs = [
    ['args', T.task.args, size('args')],
    ['kwargs', T.task.kwargs, size('kwargs')],
    ['result', T.task.result, null],
    ...(task.data && Object.keys(task.data).length
      ? [['data', T.task.data, Object.keys(task.data).length]]
      : []),
  ];
  const [selected, setSelected] = useState(
    size('kwargs') ? 'kwargs' : size('args') || task.result == null ? 'args' : 'result',
  );
  const index = tabs.findIndex(([key]) => key === selected);
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    setSelected(tabs[(index + step + tabs.length) % tabs.length][0]);
    requestAnimationFrame(() => document.getElementById('payload-tab')?.focus());
  };
  const text = task[selected];
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
                id=${key === selected ? 'payload-tab' : null}
                aria-controls="payload"
                aria-selected=${key === selected ? 'true' : 'false'}
                tabindex=${key === selected ? 0 : -1}
                onClick=${() => setSelected(key)}
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
        <${Masked} values=${(task.masked ?? []).filter((each) => each.field === selected)} />
        ${
          selected === 'data'
            ? html`<${CustomData} data=${task.data} />`
            : html`
              <${Value}
                key=${selected}
                text=${text}
                node=${task.values?.[selected] ?? null}
                missing=${
                  selected === 'result' && task.state === 'FAILURE'
                    ? T.task.notRecorded.failed
                    : T.task.notRecorded[selected]
                }
                empty=${T.task.empty[selected]}
              />
            `
        }
      </div>
    </section>
  `;
}
