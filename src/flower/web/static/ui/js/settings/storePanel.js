// The panel of the store on the settings page: its size, damaged parts and the progress of a migration.

import { bytes, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html } from '../lib.js';
import { status } from '../liveStream.js';
import * as T from '../strings.js';
import { Meter, Time } from '../ui/components.js';
import { Panel } from '../ui/panels.js';

const S = T.store;

export function StorePanel() {
  const store = status.value?.store;
  return html`
    <${Panel} title=${S.title}>
      ${store ? html`<${Store} of=${store} />` : html`<div class="skels"></div>`}
    </${Panel}>
  `;
}

function Store({ of }) {
  return html`
    <dl class="meta">
      <dt>${S.tasks}</dt>
      <dd>${int(of.task_count)}</dd>
      <dt>${S.size}</dt>
      <dd>${S.sizeText(bytes(of.size_bytes), of.segment_count)}</dd>
      ${
        of.damaged.length > 0 &&
        html`
          <dt>${S.damaged}</dt>
          <dd class="bad">${of.damaged.map((name) => line(name, 80)).join(', ')}</dd>
        `
      }
      <dt>${S.migration}</dt>
      <dd>${of.migration ? html`<${Migration} of=${of.migration} />` : S.upToDate}</dd>
    </dl>
  `;
}

function Migration({ of }) {
  const text = S.progress(int(of.done), int(of.total));
  return html`
    <span class="progress">
      <${Meter} part=${of.total ? of.done / of.total : 0} tone=${of.error ? 'bad' : ''} label=${text} />
      <small aria-hidden="true">${text}</small>
    </span>
    <p class=${`small ${of.error ? 'bad' : 'muted'}`}>
      ${of.error ? S.failed(line(of.error, 300)) : of.interrupted ? S.interrupted : S.running}
    </p>
    <p class="small muted">${S.since} <${Time} at=${of.started_at} /></p>
  `;
}
