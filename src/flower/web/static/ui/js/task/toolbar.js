// The buttons of the page of one task.

import { apiAddress } from '../api.js';
import { bootstrapData } from '../bootstrapData.js';
import { denialReason } from '../currentUser.js';
import { html } from '../lib.js';
import { encodeSegment, href } from '../router.js';
import * as T from '../strings.js';
import { copyText, FINAL_STATES, isRunning } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { openEditDialog, RerunButton, stopTask } from './actions.js';
import { buildLogUrl, formatCurl, formatPythonCall } from './copyFormats.js';

export function Toolbar({ task, reload }) {
  const why = denialReason('tasks');
  const finished = FINAL_STATES.has(task.state) ? T.task.finished : '';
  const stops = [
    [
      T.task.revoke,
      () => stopTask('revoke', task, reload),
      { icon: 'stop', why: why || finished, danger: true },
    ],
    [
      T.task.terminate,
      () => stopTask('terminate', task, reload),
      { icon: 'bolt', why: why || finished, danger: true },
    ],
  ];
  const logs = buildLogUrl(bootstrapData.log_url, task);
  const rerunUrl = new URL(href(`api/v1/tasks/${encodeSegment(task.uuid)}/rerun`), location.href)
    .href;
  return html`
    ${
      logs &&
      html`
        <a class="btn" href=${logs} target="_blank" rel="noreferrer">
          <${Icon} name="external" />
          <span>${T.task.logs}</span>
        </a>
      `
    }
    <${RerunButton} task=${task} reload=${reload} />
    <button
      type="button"
      class="btn"
      disabled=${!!why}
      title=${why || null}
      onClick=${() => openEditDialog(task, reload)}
    >
      <${Icon} name="edit" />
      <span>${T.task.edit}</span>
    </button>
    <${Popover} label=${T.more} icon="more" quiet=${false} end>
      ${(close) => html`
        <${MenuItems}
          close=${close}
          items=${[
            ...(isRunning(task) ? stops.toReversed() : stops),
            [
              T.task.abort,
              () => stopTask('abort', task, reload),
              { icon: 'x', why: why || finished },
            ],
            [T.task.python, () => copyText(formatPythonCall(task), 'Python'), { icon: 'copy' }],
            [T.task.curl, () => copyText(formatCurl(task, rerunUrl), 'curl'), { icon: 'copy' }],
            [T.task.link, () => copyText(location.href, T.copy.link), { icon: 'copy' }],
            [
              T.task.record,
              apiAddress(`tasks/${encodeSegment(task.uuid)}`),
              { icon: 'external', target: '_blank' },
            ],
          ]}
        />
      `}
    </${Popover}>
  `;
}
