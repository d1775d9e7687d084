// The health status and the issues that need attention.

import { failureTitle, StatusTag } from '../failures/components.js';
import { compact, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { clock } from '../format/time.js';
import { html } from '../lib.js';
import { interruption } from '../recorderStatus.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import * as T from '../strings.js';
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

/** The page of the subject of an issue; '' if it has none. @param {any} subject */
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
      <section class="health-banner unknown" aria-label=${T.overview.health}>
        <${Skeleton} widths=${[30]} />
      </section>
    `;
  const { status, summary, checked_at: checkedAt, issues, next_step: nextStep } = health;
  const first = issues[0];
  const target = first ? subjectAddress(first.subject) : '';
  return html`
    <section class=${`health-banner ${status}`} aria-label=${T.overview.health}>
      <span class="vm">
        <${Icon} name=${{ ok: 'check', unknown: 'info' }[status] ?? 'failures'} />
      </span>
      <div class="vt">
        <h2>${line(summary, 300)}</h2>
        ${interruption.value && html`<p>${line(interruption.value.text, 300)}. ${T.stale.text}</p>`}
        ${nextStep && html`<p>${line(nextStep, 300)}</p>`}
        ${first && issues.length === 1 && !interruption.value && html`<p>${line(first.detail, 400)}</p>`}
        ${
          issues.length > 1 &&
          html`
            <p>
              ${line(
                issues
                  .slice(0, 3)
                  .map((each) => each.title)
                  .join(' · '),
                400,
              )}
              ${issues.length > 3 ? ` · ${T.overview.others(issues.length - 3)}` : ''}
            </p>
          `
        }
      </div>
      <span class="sp"></span>
      ${
        target &&
        html`
          <a class="btn" href=${target}>
            ${T.overview.view}
          </a>
        `
      }
      <small class="muted">${T.overview.updated(clock(checkedAt))}</small>
    </section>
  `;
}

const Issue = ({ of }) => {
  const target = subjectAddress(of.subject);
  const tone = of.severity === 'critical' ? 'bad' : 'warn';
  return html`
    <li class=${tone}>
      <${Icon} name=${ICONS[of.subject.type] ?? 'info'} />
      <div class="at">
        <b>${target ? html`<a href=${target}>${line(of.title, 160)}</a>` : line(of.title, 160)}</b>
        <p>
          ${line(of.detail, 300)}
          ${
            of.started_at != null &&
            html`
              ${' '}
              · <${RelativeTime} at=${of.started_at} />
            `
          }
        </p>
      </div>
      ${of.trend.length > 0 && html`<${Sparkline} values=${of.trend} tone=${tone} />`}
      ${of.value != null && html`<span class=${`cnt num ${tone}`}>${compact(of.value)}</span>`}
    </li>
  `;
};

const FailureItem = ({ of }) => html`
  <li>
    <${Icon} name="failures" />
    <div class="at">
      <b>
        <a href=${href(`failures/${encodeSegment(of.fingerprint.id)}`)}>${failureTitle(of.fingerprint)}</a>
      </b>
      <p>
        ${line(of.types[0]?.value ?? '', 80)}
        ${of.types.length ? ' · ' : ''}
        <${RelativeTime} at=${of.last_failure_at} /> <${StatusTag} status=${of.status} />
      </p>
    </div>
    <${Sparkline} values=${of.trend} tone="bad" />
    <span class="cnt num">${int(of.count)}</span>
  </li>
`;

/** @param {{health: any, failures: any}} props failures: answer of `GET /failures`, or null */
export function Attention({ health, failures }) {
  const issues = (health?.issues ?? []).slice(0, MAX_ITEMS);
  const named = new Set(
    issues.filter(({ subject }) => subject.type === 'failure').map(({ subject }) => subject.id),
  );
  const groups = (failures?.failures ?? [])
    .filter((each) => !named.has(each.fingerprint.id))
    .slice(0, Math.max(2, MAX_ITEMS - issues.length));
  return html`
    <${Panel}
      title=${T.overview.attention}
      end=${html`<a href=${href('failures')}>${T.overview.allFailures}</a>`}
    >
      <ul class="attn">
        ${issues.map((each) => html`<${Issue} key=${each.kind + each.subject.id} of=${each} />`)}
        ${groups.map((each) => html`<${FailureItem} key=${each.fingerprint.id} of=${each} />`)}
      </ul>
      ${
        health &&
        failures &&
        !issues.length &&
        !groups.length &&
        html`<p class="muted pad16">${T.overview.nothingNeedsAttention}</p>`
      }
    </${Panel}>
  `;
}
