// The text for a search without results, and the description of its time range.

import { visible } from '../format/text.js';
import { moment } from '../format/time.js';
import { html } from '../lib.js';
import { retentionText } from '../retention.js';
import { setQuery } from '../router.js';
import * as T from '../strings.js';
import { EmptyState } from '../ui/panels.js';

export function describeRange(state) {
  if (state.brush) return T.tasks.within(moment(state.brush[0]), moment(state.brush[1]));
  if (!state.end && state.start in T.tasks.rangeTexts) return T.tasks.rangeTexts[state.start];
  const format = (text) => (/^\d{9,}(\.\d+)?$/.test(text) ? moment(Number(text)) : text || '…');
  return T.tasks.within(format(state.start), format(state.end));
}

export function NoTasks({ state }) {
  const range = describeRange(state);
  const narrowed = !!(state.start || state.end || state.brush);
  if (!state.q && !narrowed)
    return html`
      <${EmptyState} art="tasks" title=${T.tasks.emptyNone}>
        <p>${T.tasks.emptyNoneText}</p>
      </${EmptyState}>
    `;
  const actions = html`
    ${
      narrowed &&
      html`
        <button type="button" class="btn" onClick=${() => setQuery({ t: '', b: '' })}>
          ${T.tasks.allTime}
        </button>
      `
    }
    ${
      state.q &&
      html`
        <button type="button" class="btn quiet" onClick=${() => setQuery({ q: '' })}>
          ${T.tasks.clear}
        </button>
      `
    }
  `;
  return html`
    <${EmptyState} art="tasks" title=${T.tasks.emptyTitle} actions=${actions}>
      <p>
        ${
          state.q
            ? html`
              ${T.tasks.emptyQuery} <span class="mono">${visible(state.q)}</span>
            `
            : T.tasks.emptyText
        }
        ${range && ` ${range}`}. ${retentionText()}
      </p>
    </${EmptyState}>
  `;
}
