// The actions of a failure group: buttons and menu.

import { denialReason } from '../currentUser.js';
import { startBulkAction } from '../explorer/bulkAction.js';
import { zone } from '../format/time.js';
import { html } from '../lib.js';
import { searchAddress } from '../router.js';
import { appendTerm } from '../search/queryText.js';
import * as T from '../strings.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { openMuteDialog, openResolveDialog } from './actions.js';

/** The query of the tasks of a failure group within a search. @param {string} id @param {string} q */
export const failureQuery = (id, q = '') => appendTerm(q, `failure:${id}`);

/** @param {any} group @param {{q: string, start: string, end: string}} within */
export const rerunAll = (group, { q, start, end }) =>
  startBulkAction('rerun', {
    query: failureQuery(group.fingerprint.id, q),
    start,
    end,
    tz: zone(),
  });

/** @param {{group: any, act: any, within: any, full?: boolean}} props full: buttons with text */
export function GroupActions({ group, act, within, full = false }) {
  const why = denialReason('tasks');
  const isClosed = group.status === 'resolved' || group.status === 'muted';
  const [label, icon, action] = isClosed
    ? [T.failures.reopen, 'retry', 'reopen']
    : [T.failures.resolve, 'check', 'resolve'];
  const range = within.start || within.end ? `${within.start}..${within.end}` : '';
  const statusButton = html`
    <button
      type="button"
      class=${`btn${full ? '' : ' quiet'}`}
      disabled=${!!why || group.pending}
      title=${why || null}
      onClick=${() => act(group, action)}
    >
      <${Icon} name=${icon} />
      <span>${label}</span>
    </button>
  `;
  const rerunButton =
    full &&
    html`
      <button
        type="button"
        class="btn"
        disabled=${!!why}
        title=${why || null}
        onClick=${() => rerunAll(group, within)}
      >
        <${Icon} name="bolt" />
        <span>${T.failures.rerunAll}</span>
      </button>
    `;
  return html`
    ${rerunButton}
    ${statusButton}
    <${Popover} label=${T.more} icon="more" quiet=${!full} end>
      ${(close) => html`
        <${MenuItems}
          close=${close}
          items=${[
            !full && [T.failures.rerunAll, () => rerunAll(group, within), { icon: 'bolt', why }],
            [T.failures.muteAsk, () => openMuteDialog(act, group), { icon: 'clock', why }],
            group.status !== 'resolved' && [
              T.failures.resolveAsk,
              () => openResolveDialog(act, group),
              { icon: 'edit', why },
            ],
            [
              T.viewTasks,
              searchAddress(
                failureQuery(group.fingerprint.id, within.q),
                range ? { t: range } : {},
              ),
              { icon: 'tasks' },
            ],
          ]}
        />
      `}
    </${Popover}>
  `;
}
