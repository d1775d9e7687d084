// The panel of saved searches: rename, share, remove.

import { put } from '../api.js';
import { currentUser, denialReason } from '../currentUser.js';
import { line, visible } from '../format/text.js';
import { html } from '../lib.js';
import { encodeSegment } from '../router.js';
import {
  readSavedSearches,
  removeSavedSearch,
  savedSearchAddress,
  savedSearchBody,
  savedSearches,
} from '../savedSearches.js';
import * as T from '../strings.js';
import { showDialog } from '../ui/dialog.js';
import { notifyResult } from '../ui/operationsComponents.js';
import { Panel } from '../ui/panels.js';

const S = T.settings;

export function SavedSearchesPanel() {
  const all = savedSearches.value ?? [];
  return html`
    <${Panel} title=${S.searches}>
      ${
        all.length
          ? html`
            <div class="scroll">
              <table class="t">
                <thead>
                  <tr>
                    <th>${S.searchName}</th>
                    <th>${S.query}</th>
                    <th>${S.owner}</th>
                    <th>${S.shared}</th>
                    <th>
                      <span class="vh">${T.more}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  ${all.map((saved) => html`<${Row} saved=${saved} key=${saved.id} />`)}
                </tbody>
              </table>
            </div>
          `
          : html`<p class="pad muted">${S.noSearches}</p>`
      }
    </${Panel}>
  `;
}

function Row({ saved }) {
  const why = denialReason('tasks') || (saved.can_edit ? '' : S.notOwner);
  const change = async (patch) => {
    await notifyResult(
      put(`searches/${encodeSegment(saved.id)}`, { ...savedSearchBody(saved), ...patch }),
      (response) => S.searchChanged(visible(response.name)),
    );
    await readSavedSearches();
  };
  const rename = async () => {
    const name = await showDialog({
      title: S.renameTitle,
      body: (close) => html`
        <form
          onSubmit=${(event) => {
            event.preventDefault();
            close(event.target.elements.name.value.trim());
          }}
        >
          <label class="f">
            ${S.searchName}
            <input
              class="field"
              name="name"
              required
              maxlength="200"
              defaultValue=${saved.name}
              autofocus
            />
          </label>
          <div class="row">
            <button type="button" class="btn" onClick=${() => close(null)}>
              ${T.cancel}
            </button>
            <button class="btn primary">${S.save}</button>
          </div>
        </form>
      `,
    });
    if (name) await change({ name });
  };
  const button = (label, act, danger = false) => html`
    <button
      type="button"
      class=${`btn quiet${danger ? ' danger' : ''}`}
      disabled=${!!why}
      title=${why || null}
      aria-label=${`${label} ${line(saved.name, 80)}`}
      onClick=${act}
    >
      ${label}
    </button>
  `;
  return html`
    <tr>
      <td class="nm trunc name">
        <a class="link" href=${savedSearchAddress(saved)}>
          ${line(saved.name, 100)}
        </a>
      </td>
      <td class="mono trunc query-cell" title=${line(saved.query)}>
        ${saved.query ? line(saved.query, 160) : html`<span class="muted">${S.allQuery}</span>`}
      </td>
      <td>${saved.owner === currentUser.value?.name ? S.you : line(saved.owner, 60)}</td>
      <td title=${S.sharedHint}>${saved.shared ? S.shared : S.private}</td>
      <td class="right">
        ${button(S.rename, rename)}
        ${button(saved.shared ? S.makePrivate : S.share, () => change({ shared: !saved.shared }))}
        ${button(S.remove, () => removeSavedSearch(saved), true)}
      </td>
    </tr>
  `;
}
