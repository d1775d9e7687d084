// What must be set for anything to be seen: the first page of who has no events yet, and a hint for
// who could see more.

import { line, visible } from '../format/text.js';
import { html } from '../lib.js';
import { T } from '../strings.js';
import { CopyButton } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { EmptyState, Panel } from '../ui/panels.js';

const ICONS = { on: 'check', off: 'x', unknown: 'info' };

const Check = ({ of }) => html`
  <li class=${`ci ${of.state}`}>
    <span class="ci-s">
      <${Icon} n=${ICONS[of.state] ?? 'info'} />
      ${T.overview.settingIs[of.state] ?? of.state}
    </span>
    <div>
      <h3 class="mono">${line(of.setting)}</h3>
      <p>${visible(of.gives)}</p>
      <p class="muted small">${visible(of.how_known)}</p>
      ${
        of.state !== 'on' &&
        html`
          <div class="how">
            <code>${visible(of.how)}</code>
            <${CopyButton} text=${of.how} what=${T.overview.line} />
          </div>
        `
      }
    </div>
  </li>
`;

const CheckList = ({ items }) => html`
  <ul class="cks">
    ${items.map((each) => html`<${Check} key=${each.setting} of=${each} />`)}
  </ul>
`;

/** Nothing was ever heard. @param {{of: any}} props of: `GET /checklist` */
export const FirstRun = ({ of }) => html`
  <section class="panel">
    <${EmptyState} title=${T.overview.noEvents} art="tasks">
      <p>${of.workers_seen ? T.overview.workersSilent : T.overview.noWorkers}</p>
      <pre class="try">celery -A your_project worker -E</pre>
    </${EmptyState}>
  </section>
  <${Panel} title=${T.overview.checklist}>
    <p class="muted pad16">${T.overview.checklistText}</p>
    <${CheckList} items=${of.items} />
  </${Panel}>
`;

/** Settings that are off, folded: what they would give. @param {{of: any}} props */
export function RecommendedSettings({ of }) {
  const off = of.items.filter((each) => each.state === 'off');
  if (!off.length) return null;
  return html`
    <details class="panel more">
      <summary>
        <${Icon} n="info" />
        ${T.overview.seeMore(off.length)}
        <span class="muted small">${off.map((each) => each.setting).join(', ')}</span>
      </summary>
      <${CheckList} items=${off} />
    </details>
  `;
}
