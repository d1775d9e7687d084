// Who you are, your tokens, what is kept and masked, saved searches.

import { get } from '../api.js';
import { currentUser } from '../currentUser.js';
import { duration, int, rate } from '../format/numbers.js';
import { line } from '../format/text.js';
import { span } from '../format/time.js';
import { html, useEffect } from '../lib.js';
import { readSavedSearches } from '../savedSearches.js';
import { Tokens } from '../settings/apiTokens.js';
import { SavedSearchesPanel } from '../settings/savedSearchesPanel.js';
import { Page } from '../shell/page.js';
import { T } from '../strings.js';
import { Loaded, Panel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const S = T.settings;

export default function Settings() {
  const ours = useResource((signal) => get('settings', {}, { signal }), []);
  useEffect(() => {
    readSavedSearches();
  }, []);
  return html`
    <${Page} title=${T.pages.settings} live=${false}>
      <div class="wrap">
        <div class="cols even">
          <${Account} />
          <${Panel} title=${S.server}>
            <${Loaded} of=${ours}>${(data) => html`<${Server} of=${data} />`}</${Loaded}>
          </${Panel}>
        </div>
        <${Tokens} />
        <${SavedSearchesPanel} />
        <div class="cols even">
          <${Panel} title=${S.kept}>
            <${Loaded} of=${ours}>${(data) => html`<${Retention} of=${data.kept} />`}</${Loaded}>
          </${Panel}>
          <${Panel} title=${S.masked}>
            <${Loaded} of=${ours}>${(data) => html`<${Redaction} of=${data.redaction} />`}</${Loaded}>
          </${Panel}>
        </div>
      </div>
    </${Page}>
  `;
}

function Account() {
  const it = currentUser.value;
  return html`
    <${Panel} title=${S.me}>
      ${
        it &&
        html`
          <dl class="meta">
            <dt>${S.name}</dt>
            <dd>${it.name ? line(it.name, 100) : html`<span class="muted">${S.noName}</span>`}</dd>
            <dt>${S.way}</dt>
            <dd>${S.ways[it.way] ?? line(it.way)}</dd>
            <dt>${S.permissions}</dt>
            <dd>
              <ul>
                ${it.permissions.map((each) => html`<li>${S.permission[each] ?? line(each)}</li>`)}
              </ul>
            </dd>
          </dl>
        `
      }
    </${Panel}>
  `;
}

function Server({ of }) {
  return html`
    <dl class="meta">
      <dt>${S.version}</dt>
      <dd>${line(of.version, 40)}</dd>
      <dt>${S.broker}</dt>
      <dd class="mono">${of.broker ? line(of.broker, 300) : T.queues.brokerUnknown}</dd>
      <dt>${S.login}</dt>
      <dd>${of.login ? S.loginOn : S.loginOff}</dd>
      <dt>${S.readOnly}</dt>
      <dd>${of.read_only ? S.readOnlyOn : S.readOnlyOff}</dd>
      <dt>${S.bulk}</dt>
      <dd>${S.bulkText(int(of.bulk.limit), rate(of.bulk.rate))}</dd>
    </dl>
  `;
}

const lasting = (seconds) => (seconds ? S.forSpan(duration(seconds)) : S.forever);

function Retention({ of }) {
  return html`
    <dl class="meta">
      <dt>${S.keptTasks}</dt>
      <dd>${lasting(of.max_age)}</dd>
      <dt>${S.keptMost}</dt>
      <dd>${of.max_tasks ? S.tasksMost(of.max_tasks) : S.forever}</dd>
      <dt>${S.keptAudit}</dt>
      <dd>${lasting(of.audit_max_age)}</dd>
      <dt>${S.keptQueues}</dt>
      <dd>${S.thenCoarse(span(of.samples_exact), span(of.samples))}</dd>
    </dl>
  `;
}

function Redaction({ of }) {
  const chips = (all) =>
    all.length
      ? html`
        <span class="chips">
          ${all.map((each) => html`<code>${line(each, 120)}</code>`)}
        </span>
      `
      : html`<span class="muted">${S.noRule}</span>`;
  return html`
    <p class="pad muted small">${S.maskedText}</p>
    <dl class="meta">
      <dt>${S.names}</dt>
      <dd>${chips(of.names)}</dd>
      <dt>${S.patterns}</dt>
      <dd>${chips(of.patterns)}</dd>
      <dt>${S.args}</dt>
      <dd>${chips(of.arguments)}</dd>
    </dl>
  `;
}
