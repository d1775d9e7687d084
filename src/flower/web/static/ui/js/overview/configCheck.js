// The check of Celery settings: shown in full on an empty overview, later as recommendations.

import { line, visible } from '../format/text.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
import { CopyButton } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { EmptyState, Panel } from '../ui/panels.js';

const ICONS = { on: 'check', off: 'x', unknown: 'info' };

const Check = ({ of }) => html`
  <li class=${`ci ${of.state}`}>
    <span class="ci-s">
      <${Icon} name=${ICONS[of.state] ?? 'info'} />
      ${T.overview.settingIs[of.state] ?? of.state}
    </span>
    <div>
      <h3 class="mono">${line(of.setting)}</h3>
      <p>${visible(of.benefit)}</p>
      <p class="muted small">${visible(of.source)}</p>
      ${
        of.state !== 'on' &&
        html`
          <div class="how">
            <code>${visible(of.instructions)}</code>
            <${CopyButton} text=${of.instructions} what=${T.overview.line} />
          </div>
        `
      }
    </div>
  </li>
`;

const CheckList = ({ checks }) => html`
  <ul class="cks">
    ${checks.map((each) => html`<${Check} key=${each.setting} of=${each} />`)}
  </ul>
`;

/** The overview before any event was recorded. @param {{of: any}} props of: `GET /config-check` */
export const FirstRun = ({ of }) => html`
  <section class="panel">
    <${EmptyState} title=${T.overview.waiting} art="tasks">
      <p>${of.workers_seen ? T.overview.noTaskEvents : T.overview.noWorkers}</p>
      <pre class="try">celery -A your_project worker -E</pre>
    </${EmptyState}>
  </section>
  <${Panel} title=${T.overview.settings}>
    <p class="muted pad16">${T.overview.settingsText}</p>
    <${CheckList} checks=${of.checks} />
  </${Panel}>
`;

/** Recommended settings that are off. @param {{of: any}} props */
export function RecommendedSettings({ of }) {
  const off = of.checks.filter((each) => each.state === 'off');
  if (!off.length) return null;
  return html`
    <details class="panel more">
      <summary>
        <${Icon} name="info" />
        ${T.overview.recommended(off.length)}
        <span class="muted small">${off.map((each) => each.setting).join(', ')}</span>
      </summary>
      <${CheckList} checks=${off} />
    </details>
  `;
}
