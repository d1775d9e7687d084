// The settings page: account, store, gaps, API tokens, saved searches, retention and redaction of the server.

import { get } from '../api.js';
import { bootstrapData } from '../bootstrapData.js';
import { int, rate } from '../format/numbers.js';
import { line } from '../format/text.js';
import { span } from '../format/time.js';
import { html, useEffect } from '../lib.js';
import { readSavedSearches } from '../savedSearches.js';
import { Account } from '../settings/accountPanel.js';
import { Tokens } from '../settings/apiTokens.js';
import { GapsPanel } from '../settings/gapsPanel.js';
import { SavedSearchesPanel } from '../settings/savedSearchesPanel.js';
import { StorePanel } from '../settings/storePanel.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { Loaded, Panel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const S = T.settings;

export default function Settings({ query }) {
  const server = useResource((signal) => get('settings', {}, { signal }), []);
  useEffect(() => {
    readSavedSearches();
  }, []);
  return html`
    <${Page} title=${T.pages.settings} live=${false}>
      <div class="wrap">
        <div class="cols even">
          <${Account} />
          <${Panel} title=${S.server}>
            <${Loaded} of=${server}>${(data) => html`<${Server} of=${data} />`}</${Loaded}>
          </${Panel}>
        </div>
        <${StorePanel} />
        <${GapsPanel} show=${query.get('show') === 'gaps'} />
        <${Tokens} />
        <${SavedSearchesPanel} />
        <div class="cols even">
          <${Panel} title=${S.retention}>
            <${Loaded} of=${server}>${(data) => html`<${Retention} of=${data.retention} />`}</${Loaded}>
          </${Panel}>
          <${Panel} title=${S.redaction}>
            <${Loaded} of=${server}>${(data) => html`<${Redaction} of=${data.redaction} />`}</${Loaded}>
          </${Panel}>
        </div>
      </div>
    </${Page}>
  `;
}

function Server({ of }) {
  return html`
    <dl class="meta">
      <dt>${S.version}</dt>
      <dd>${line(of.version, 40)}</dd>
      <dt>${S.broker}</dt>
      <dd class="mono">${of.broker_url ? line(of.broker_url, 300) : T.queues.brokerUnknown}</dd>
      <dt>${S.signIn}</dt>
      <dd>${of.login_required ? S.signInOn : S.signInOff}</dd>
      <dt>${S.writeAccess}</dt>
      <dd>
        ${of.read_only ? S.readOnlyOn : bootstrapData.can_act ? S.readOnlyOff : S.noAuthentication}
      </dd>
      <dt>${S.bulk}</dt>
      <dd>${S.bulkText(int(of.bulk.limit), rate(of.bulk.rate))}</dd>
    </dl>
  `;
}

const formatAge = (seconds) => (seconds ? span(seconds) : S.forever);

function Retention({ of }) {
  return html`
    <dl class="meta">
      <dt>${S.tasks}</dt>
      <dd>${formatAge(of.task_max_age)}</dd>
      <dt>${S.taskCount}</dt>
      <dd>${of.max_tasks ? S.maxTasks(of.max_tasks) : S.forever}</dd>
      <dt>${S.audit}</dt>
      <dd>${formatAge(of.audit_max_age)}</dd>
      <dt>${S.queueSamples}</dt>
      <dd>${S.queueSamplesText(
        span(of.queue_samples_exact_max_age),
        span(of.queue_samples_max_age),
      )}</dd>
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
      : html`<span class="muted">${T.ops.none}</span>`;
  return html`
    <p class="pad muted small">${S.redactionText}</p>
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
