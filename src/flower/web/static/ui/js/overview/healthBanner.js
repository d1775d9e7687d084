// Whether anything is wrong, in words: first of all on the first page.

import { failureTitle, StatusTag } from '../failures/components.js';
import { compact, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { clock } from '../format/time.js';
import { html } from '../lib.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { T } from '../strings.js';
import { Sparkline } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { RelativeTime } from '../ui/operationsComponents.js';
import { Panel, Skeleton } from '../ui/panels.js';

const ICONS = {
  queue: 'queues',
  worker: 'workers',
  failure: 'failures',
  tasks: 'tasks',
  recorder: 'bolt',
  store: 'save',
};
const MAX_ITEMS = 5;

/** Where one looks next; '' where there is nothing to see. @param {any} subject */
export function subjectAddress({ type, id, query }) {
  if (type === 'queue' && id) return href(`queues/${encodeSegment(id)}`);
  if (type === 'worker' && id) return href(`worker/${encodeSegment(id)}`);
  if (type === 'worker') return href('workers');
  if (type === 'failure') return href(id ? `failures/${encodeSegment(id)}` : 'failures');
  return query ? searchAddress(query) : '';
}

/** @param {{health: any}} props */
export function HealthBanner({ health }) {
  if (!health)
    return html`
      <section class="verdict unknown" aria-label=${T.overview.verdict}>
        <${Skeleton} widths=${[30]} />
      </section>
    `;
  const { verdict, sentence, at, concerns } = health;
  const first = concerns[0];
  const to = first ? subjectAddress(first.subject) : '';
  return html`
    <section class=${`verdict ${verdict}`} aria-label=${T.overview.verdict}>
      <span class="vm">
        <${Icon} n=${{ ok: 'check', unknown: 'info' }[verdict] ?? 'failures'} />
      </span>
      <div class="vt">
        <h2>${line(sentence, 300)}</h2>
        ${first && concerns.length === 1 && html`<p>${line(first.detail, 400)}</p>`}
        ${
          concerns.length > 1 &&
          html`
            <p>
              ${line(
                concerns
                  .slice(0, 3)
                  .map((each) => each.title)
                  .join(' · '),
                400,
              )}
              ${concerns.length > 3 ? ` · ${T.overview.others(concerns.length - 3)}` : ''}
            </p>
          `
        }
      </div>
      <span class="sp"></span>
      ${
        to &&
        html`
          <a class="btn" href=${to}>
            ${T.overview.look}
          </a>
        `
      }
      <small class="muted">${T.overview.looked(clock(at))}</small>
    </section>
  `;
}

const Issue = ({ of }) => {
  const to = subjectAddress(of.subject);
  const tone = of.severity === 'critical' ? 'bad' : 'warn';
  return html`
    <li class=${tone}>
      <${Icon} n=${ICONS[of.subject.type] ?? 'info'} />
      <div class="at">
        <b>${to ? html`<a href=${to}>${line(of.title, 160)}</a>` : line(of.title, 160)}</b>
        <p>
          ${line(of.detail, 300)}
          ${
            of.since != null &&
            html`
              ${' '}
              · <${RelativeTime} at=${of.since} />
            `
          }
        </p>
      </div>
      ${of.trend.length > 1 && html`<${Sparkline} values=${of.trend} tone=${tone} />`}
      ${of.value != null && html`<span class=${`cnt num ${tone}`}>${compact(of.value)}</span>`}
    </li>
  `;
};

const FailureItem = ({ of }) => html`
  <li>
    <${Icon} n="failures" />
    <div class="at">
      <b>
        <a href=${href(`failures/${encodeSegment(of.fingerprint.id)}`)}>${failureTitle(of.fingerprint)}</a>
      </b>
      <p>
        ${line(of.types[0]?.value ?? '', 80)}
        ${of.types.length ? ' · ' : ''}
        <${RelativeTime} at=${of.last} /> <${StatusTag} s=${of.status} />
      </p>
    </div>
    <${Sparkline} values=${of.trend} tone="bad" />
    <span class="cnt num">${int(of.count)}</span>
  </li>
`;

/** @param {{health: any, failures: any}} props failures: answer of `GET /failures`, or null */
export function Attention({ health, failures }) {
  const concerns = (health?.concerns ?? []).slice(0, MAX_ITEMS);
  const groups = (failures?.groups ?? []).slice(0, Math.max(2, MAX_ITEMS - concerns.length));
  return html`
    <${Panel}
      title=${T.overview.attention}
      end=${html`<a href=${href('failures')}>${T.overview.allFailures}</a>`}
    >
      <ul class="attn">
        ${concerns.map((each) => html`<${Issue} key=${each.kind + each.subject.id} of=${each} />`)}
        ${groups.map((each) => html`<${FailureItem} key=${each.fingerprint.id} of=${each} />`)}
      </ul>
      ${
        health &&
        failures &&
        !concerns.length &&
        !groups.length &&
        html`<p class="muted pad16">${T.overview.nothing}</p>`
      }
    </${Panel}>
  `;
}
