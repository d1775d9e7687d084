// The buttons of a group of failures.

import { denialReason } from '../currentUser.js';
import { startBulkAction } from '../explorer/bulkActionDialog.js';
import { zone } from '../format/time.js';
import { html } from '../lib.js';
import { searchAddress } from '../router.js';
import { add } from '../search/tokenizer.js';
import { T } from '../strings.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { openMuteDialog, openResolveDialog } from './actions.js';

/** The query of a group's tasks, within a search. @param {string} id @param {string} q */
export const failureQuery = (id, q = '') => add(q, `failure:${id}`);

/** @param {any} group @param {{q: string, start: string, end: string}} within */
export const rerunAll = (group, { q, start, end }) =>
  startBulkAction('rerun', {
    query: failureQuery(group.fingerprint.id, q),
    start,
    end,
    tz: zone(),
  });

/** @param {{group: any, act: any, within: any, full?: boolean}} props full: with words */
export function GroupActions({ group, act, within, full = false }) {
  const why = denialReason('tasks');
  const settled = group.status === 'resolved' || group.status === 'muted';
  const [word, icon, action] = settled
    ? [T.failures.reopen, 'retry', 'reopen']
    : [T.failures.resolve, 'check', 'resolve'];
  const range = within.start || within.end ? `${within.start}..${within.end}` : '';
  const first = html`
    <button
      type="button"
      class=${`btn${full ? '' : ' quiet'}`}
      disabled=${!!why || group.pending}
      title=${why || null}
      onClick=${() => act(group, action)}
    >
      <${Icon} n=${icon} />
      <span>${word}</span>
    </button>
  `;
  const again =
    full &&
    html`
      <button
        type="button"
        class="btn"
        disabled=${!!why}
        title=${why || null}
        onClick=${() => rerunAll(group, within)}
      >
        <${Icon} n="bolt" />
        <span>${T.failures.runAll}</span>
      </button>
    `;
  return html`
    ${again}
    ${first}
    <${Popover} label=${T.more} icon="more" quiet=${!full} end>
      ${(close) => html`
        <${MenuItems}
          close=${close}
          items=${[
            !full && [T.failures.runAll, () => rerunAll(group, within), { icon: 'bolt', why }],
            [T.failures.muteAsk, () => openMuteDialog(act, group), { icon: 'clock', why }],
            group.status !== 'resolved' && [
              T.failures.resolveAsk,
              () => openResolveDialog(act, group),
              { icon: 'edit', why },
            ],
            [
              T.failures.itsTasks,
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
