// The toolbar of the selected tasks.

import { apiAddress } from '../api.js';
import { denialReason } from '../currentUser.js';
import { int } from '../format/numbers.js';
import { html } from '../lib.js';
import { quoteValue } from '../search/queryText.js';
import * as T from '../strings.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { exportColumns } from './columns.js';

/** Maximum number of ids in the URL of an export. */
const MAX_EXPORT_IDS = 40;

/**
 * @param {{selection: Set<string>, all: boolean, total: number | null, onAll: () => void, onAct:
 *   (action: string) => void, onClear: () => void, window: any, columns: any[]}} props all:
 *   all matching tasks are selected, not only those that were ticked
 */
export function SelectionBar({
  selection,
  all,
  total,
  onAll,
  onAct,
  onClear,
  window: within,
  columns,
}) {
  const n = all ? (total ?? 0) : selection.size;
  if (!selection.size && !all) return null;
  const why = denialReason('tasks');
  const exportAddress = (format) => {
    const query =
      all || selection.size > MAX_EXPORT_IDS
        ? within.query
        : `uuid:=${[...selection].map(quoteValue).join(',')}`;
    return apiAddress('export', {
      ...(all || selection.size > MAX_EXPORT_IDS ? within : { tz: within.tz }),
      query,
      format,
      columns: exportColumns(columns),
    });
  };
  const button = (action, icon, label) => html`
    <button type="button" disabled=${!!why} title=${why || null} onClick=${() => onAct(action)}>
      <${Icon} name=${icon} />
      ${label}
    </button>
  `;
  return html`
    <div class="bulk" role="toolbar" aria-label=${T.tasks.bulk}>
      <b role="status">${T.tasks.selected(n)}</b>
      ${
        !all &&
        total != null &&
        total > selection.size &&
        html`
          <button type="button" class="all" onClick=${onAll}>
            ${T.tasks.allOf(int(total))}
          </button>
        `
      }
      <hr />
      ${button('rerun', 'retry', T.tasks.rerun)}
      ${button('revoke', 'stop', T.tasks.revoke)}
      <${Popover} label=${T.more} icon="more" cls="on-dark">
        ${(close) => html`
          <${MenuItems}
            close=${close}
            items=${[
              [T.tasks.terminate, () => onAct('terminate'), { icon: 'bolt', why, danger: true }],
              [T.tasks.abort, () => onAct('abort'), { icon: 'x', why }],
              ...(selection.size <= MAX_EXPORT_IDS || all
                ? Object.keys(T.tasks.formats).map((format) => [
                    `${T.tasks.export}: ${T.tasks.formats[format]}`,
                    exportAddress(format),
                    { icon: 'export', download: true },
                  ])
                : []),
            ]}
          />
        `}
      </${Popover}>
      <hr />
      <button
        type="button"
        aria-label=${T.tasks.clearSelection}
        title=${T.tasks.clearSelection}
        onClick=${onClear}
      >
        <${Icon} name="x" />
      </button>
    </div>
  `;
}
