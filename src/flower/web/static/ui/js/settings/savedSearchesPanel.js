// Saved searches: renamed, shared, removed.

import { post } from '../api.js';
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
import { T } from '../strings.js';
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
          : html`<p class="pad muted">${S.searchNone}</p>`
      }
    </${Panel}>
  `;
}

function Row({ saved }) {
  // An admin may change those of others, too; the server knows, and refuses in words.
  const why =
    denialReason('tasks') ||
    (saved.yours || currentUser.value?.permissions.includes('tokens') ? '' : S.notYours);
  const change = async (patch) => {
    await notifyResult(
      post(`searches/${encodeSegment(saved.id)}`, { ...savedSearchBody(saved), ...patch }),
      (told) => S.changed(visible(told.name)),
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
  const button = (word, act, danger = false) => html`
    <button
      type="button"
      class=${`btn quiet${danger ? ' danger' : ''}`}
      disabled=${!!why}
      title=${why || null}
      aria-label=${`${word} ${line(saved.name, 80)}`}
      onClick=${act}
    >
      ${word}
    </button>
  `;
  return html`
    <tr>
      <td class="nm trunc name">
        <a class="link" href=${savedSearchAddress(saved)}>
          ${line(saved.name, 100)}
        </a>
      </td>
      <td class="mono trunc asked" title=${line(saved.query)}>
        ${saved.query ? line(saved.query, 160) : html`<span class="muted">${S.allQuery}</span>`}
      </td>
      <td>${saved.yours ? S.yours : line(saved.owner, 60)}</td>
      <td title=${S.sharedHint}>${saved.shared ? S.shared : S.private}</td>
      <td class="right">
        ${button(S.rename, rename)}
        ${button(saved.shared ? S.unshare : S.share, () => change({ shared: !saved.shared }))}
        ${button(S.remove, () => removeSavedSearch(saved), true)}
      </td>
    </tr>
  `;
}
