// Menus of the toolbar of the tasks page: columns, export, saving the search.

import { apiAddress, post } from '../api.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { readSavedSearches } from '../savedSearches.js';
import * as T from '../strings.js';
import { showDialog } from '../ui/dialog.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { toast } from '../ui/toast.js';
import { COLUMNS, exportColumns } from './columns.js';
import { DEFAULT_COLUMNS } from './urlState.js';

/** @param {{columns: any[], onColumns: (ids: string[]) => void}} props */
export function ColumnMenu({ columns, onColumns }) {
  const ids = columns.map((each) => each.id);
  const keys = ids.filter((id) => id.startsWith('kwargs.'));
  const [key, setKey] = useState('');
  const toggle = (id) =>
    onColumns(ids.includes(id) ? ids.filter((each) => each !== id) : [...ids, id]);
  const addKey = (event) => {
    event.preventDefault();
    const id = `kwargs.${key.trim().replace(/^kwargs\./, '')}`;
    if (key.trim() && !/[\s,]/.test(key.trim())) {
      onColumns([...new Set([...ids, id])]);
      setKey('');
    }
  };
  return html`
    <${Popover} label=${T.tasks.columns} icon="columns" text=${T.tasks.columns} end>
      <div class="colmenu">
        <div class="two">
          ${[
            ...[...COLUMNS.values()].map((each) => [each.id, each.label]),
            ...keys.map((id) => [id, id.slice(7)]),
          ].map(
            ([id, label]) => html`
              <label key=${id}>
                <input
                  type="checkbox"
                  class="check"
                  checked=${ids.includes(id)}
                  onChange=${() => toggle(id)}
                />
                <span class=${id.startsWith('kwargs.') ? 'mono trunc' : 'trunc'}>
                  ${line(label, 60)}
                </span>
              </label>
            `,
          )}
        </div>
        <hr />
        <form class="pad" onSubmit=${addKey}>
          <label class="f">
            ${T.tasks.columnKey}
            <span class="inline">
              <input
                class="field"
                value=${key}
                placeholder=${T.tasks.columnKeyHint}
                spellcheck=${false}
                autocapitalize="none"
                onInput=${(e) => setKey(e.target.value)}
              />
              <button class="btn">${T.tasks.add}</button>
            </span>
          </label>
        </form>
        <hr />
        <div class="pad">
          <button type="button" class="btn quiet" onClick=${() => onColumns([])}>
            ${T.tasks.reset}
          </button>
        </div>
      </div>
    </${Popover}>
  `;
}

/** @param {{window: any, columns: any[], sort: string}} props */
export function ExportMenu({ window: within, columns }) {
  const items = (more) => (close) =>
    html`
      <${MenuItems}
        close=${close}
        items=${Object.entries(T.tasks.formats).map(([format, label]) => [
          label,
          apiAddress('export', { ...within, format, ...more }),
          { icon: 'export', download: true },
        ])}
      />
    `;
  return html`
    <${Popover} label=${T.tasks.export} icon="export" text=${T.tasks.export} end>
      ${(close) => html`
        <h2>${T.tasks.exportHint}</h2>
        ${items({ columns: exportColumns(columns) })(close)}
        <hr />
        <h2>${T.tasks.exportAll}</h2>
        ${items({})(close)}
      `}
    </${Popover}>
  `;
}

/** Opens the dialog that saves the search. @param {any} state result of `parseUrlState` */
export async function openSaveSearchDialog(state) {
  const name = await showDialog({
    title: T.tasks.saveTitle,
    body: (close) => html`<${SaveForm} state=${state} close=${close} />`,
  });
  if (!name) return;
  toast(T.tasks.saved(name));
  readSavedSearches();
}

function SaveForm({ state, close }) {
  const [name, setName] = useState('');
  const [shared, setShared] = useState(true);
  const [problem, setProblem] = useState('');
  const save = async (event) => {
    event.preventDefault();
    const custom = state.columns.join() !== DEFAULT_COLUMNS.join();
    try {
      await post('searches', {
        name: name.trim(),
        query: state.q,
        start: state.start,
        end: state.end,
        ...(state.by && { time: state.by }),
        columns: custom ? state.columns : [],
        sort: state.sort.split(','),
        shared,
      });
      close(name.trim());
    } catch (error) {
      setProblem([error.message, error.hint].filter(Boolean).join(': '));
    }
  };
  return html`
    <form onSubmit=${save}>
      <label class="f">
        ${T.tasks.saveName}
        <input
          class="field"
          autofocus
          required
          maxlength="80"
          value=${name}
          onInput=${(e) => setName(e.target.value)}
          aria-describedby=${problem ? 'save-problem' : null}
        />
      </label>
      <label class="tick">
        <input
          type="checkbox"
          class="check"
          checked=${shared}
          onChange=${(e) => setShared(e.target.checked)}
        />
        ${T.tasks.saveShared}
      </label>
      ${
        problem &&
        html`
          <p class="bad" id="save-problem" role="alert">
            ${problem}
          </p>
        `
      }
      <div class="row">
        <button type="button" class="btn" onClick=${() => close(null)}>
          ${T.cancel}
        </button>
        <button class="btn primary" disabled=${!name.trim()}>
          ${T.tasks.save}
        </button>
      </div>
    </form>
  `;
}
