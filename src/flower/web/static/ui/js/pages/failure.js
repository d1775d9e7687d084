// The page of one failure group: occurrences, affected task types and workers, an example, recent tasks.

import { get } from '../api.js';
import { RangeMenu } from '../explorer/rangeMenu.js';
import { formatRange } from '../explorer/urlState.js';
import { useFailureActions } from '../failures/actions.js';
import { failureTitle, StatusNote, StatusTag } from '../failures/components.js';
import { failureQuery, GroupActions } from '../failures/menu.js';
import { compact, duration, int } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { span as spanOf, zone } from '../format/time.js';
import { html } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { address, encodeSegment, href, searchAddress, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { Failure } from '../task/traceback.js';
import { ChartWithTable } from '../ui/chart.js';
import {
  Fact,
  Meter,
  quoteValue,
  RowTime,
  TaskLink,
  TaskName,
  TaskState,
  Time,
  WorkerLink,
} from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { RelativeTime } from '../ui/operationsComponents.js';
import { EmptyState, ErrorPanel, Panel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';
import { filters } from './failures.js';

const RECENT = 20;
const COLUMNS = [
  'state',
  'name',
  'worker',
  'time_at',
  'last_event_at',
  'runtime',
  'exception',
  'args',
];
const SHARES = 12;

const Crumb = ({ title = '', within }) => html`
  <nav class="crumb" aria-label=${T.nav.breadcrumb}>
    <a href=${address('failures', { q: within.q })}>${T.pages.failures}</a>
    ${
      title &&
      html`
        <${Icon} name="right" />
        <span class="trunc">${title}</span>
      `
    }
  </nav>
`;

/** Affected task types or workers with their share of the failures. */
function Shares({ title, of, all, link }) {
  return html`
    <${Panel} title=${title} end=${html`<span class="muted small">${int(of.length)}</span>`}>
      <ul class="shares">
        ${of.slice(0, SHARES).map(
          (each) => html`
            <li>
              <span class="trunc">${link(each.value)}</span>
              <${Meter}
                part=${each.count / all}
                tone="bad"
                label=${`${int(each.count)} / ${int(all)}`}
              />
              <span class="num">${int(each.count)}</span>
            </li>
          `,
        )}
      </ul>
      ${
        of.length > SHARES &&
        html`<p class="muted pad16 small">${T.tasks.showMore(of.length - SHARES)}</p>`
      }
    </${Panel}>
  `;
}

function RecentTasks({ tasks, query, range }) {
  return html`
    <${Panel}
      title=${T.failures.recent}
      end=${html`<a href=${searchAddress(query, range ? { t: range } : {})}>${T.viewTasks}</a>`}
    >
      <div class="scroll" tabindex="0" role="group" aria-label=${T.failures.recent}>
        <table class="t">
          <thead>
            <tr>
              <th>${T.tasks.column.state}</th>
              <th>${T.tasks.column.uuid}</th>
              <th class="opt">${T.tasks.column.name}</th>
              <th>${T.tasks.column.worker}</th>
              <th class="right opt">${T.tasks.column.runtime}</th>
              <th class="right">${T.tasks.column.last_event_at}</th>
            </tr>
          </thead>
          <tbody>
            ${tasks.map(
              (task) => html`
                <tr key=${task.uuid}>
                  <td>
                    <${TaskState} state=${task.state} />
                  </td>
                  <td>
                    <${TaskLink} uuid=${task.uuid} short />
                  </td>
                  <td class="nm type-c opt">
                    <${TaskName} name=${task.name} />
                  </td>
                  <td>
                    <${WorkerLink} name=${task.worker} short />
                  </td>
                  <td class="right opt">${duration(task.runtime)}</td>
                  <td class="right">
                    <${RowTime} at=${task.last_event_at} />
                  </td>
                </tr>
              `,
            )}
          </tbody>
        </table>
      </div>
    </${Panel}>
  `;
}

/** The exception of one task of the group. */
function Example({ uuid }) {
  const task = useResource((signal) => get(`tasks/${encodeSegment(uuid)}`, {}, { signal }), [uuid]);
  if (task.problem)
    return html`
      <${Panel} title=${T.failures.example}>
        <${ErrorPanel} problem=${task.problem} onRetry=${task.reload} />
      </${Panel}>
    `;
  if (!task.data)
    return html`
      <${Panel} title=${T.failures.example}>
        <${Skeleton} />
      </${Panel}>
    `;
  return html`
    <div class="example">
      <h2>
        ${T.failures.example} <${TaskLink} uuid=${uuid} short />
      </h2>
      <${Failure} task=${task.data} />
    </div>
  `;
}

function Trend({ group, span, onBrush }) {
  const times = group.trend.map((_, i) => span.start_at + i * span.width);
  return html`
    <${Panel}
      title=${T.failures.occurrences}
      end=${html`<span class="muted small">${T.failures.perBucket(spanOf(span.width))}</span>`}
    >
      <div class="chart pad-table">
        <${ChartWithTable}
          label=${T.failures.occurrencesLabel}
          data=${[times, group.trend]}
          series=${[{ label: T.failures.failed, color: '--c-fail' }]}
          stack
          bars
          bucket=${span.width}
          format=${int}
          axisFormat=${(n) => (Number.isInteger(n) ? compact(n) : '')}
          height=${120}
          onBrush=${onBrush}
        />
      </div>
    </${Panel}>
  `;
}

export default function FailureGroup({ id, query }) {
  const within = filters(query, '');
  const refresh = useRefreshTimer(20);
  const resource = useResource(
    (signal) =>
      get(
        `failures/${encodeSegment(id)}`,
        {
          query: within.q,
          start: within.start,
          end: within.end,
          tz: zone(),
          columns: COLUMNS,
          text_limit: 1024,
          limit: RECENT,
        },
        { signal },
      ),
    [id, query.toString(), refresh],
  );
  const { shown, act } = useFailureActions(resource.reload);
  useLiveStream({ topics: ['status'] }, { reset: resource.reload });
  const ranges = html`
    <${RangeMenu}
      start=${within.start}
      end=${within.end}
      onRange=${(start, end) => setQuery({ t: formatRange(start, end) })}
    />
  `;
  if (resource.problem?.status === 404) {
    const isFiltered = within.q || within.start || within.end;
    return html`
      <${Page} title=${T.failures.notFound} crumb=${html`<${Crumb} within=${within} />`} actions=${ranges}>
        <${EmptyState}
          page
          title=${T.failures.notFound}
          actions=${html`
            ${
              isFiltered &&
              html`
                <a class="btn" href=${href(`failures/${encodeSegment(id)}`)}>
                  ${T.tasks.allTime}
                </a>
              `
            }
            <a class="btn quiet" href=${href('failures')}>
              ${T.failures.allGroups}
            </a>
          `}
        >
          <p>${isFiltered ? T.failures.notFoundInPeriod : T.failures.notFoundText}</p>
        </${EmptyState}>
      </${Page}>
    `;
  }
  if (!resource.data)
    return html`
      <${Page} title=${T.pages.failures} crumb=${html`<${Crumb} within=${within} />`}>
        <div class="wrap">
          ${
            resource.problem
              ? html`<${ErrorPanel} problem=${resource.problem} onRetry=${resource.reload} />`
              : resource.slow && html`<${Skeleton} widths=${[60, 30, 80, 70]} />`
          }
        </div>
      </${Page}>
    `;
  const group = shown(resource.data.failure);
  const { fingerprint } = group;
  const range = formatRange(within.start, within.end);
  const q = failureQuery(fingerprint.id, within.q);
  const brush = (from, to) => setQuery({ t: `${from.toFixed(0)}..${to.toFixed(0)}` });
  return html`
    <${Page}
      title=${failureTitle(fingerprint, 120)}
      crumb=${html`<${Crumb} title=${line(fingerprint.exception, 80)} within=${within} />`}
      actions=${html`
        ${ranges}
        <${GroupActions} group=${group} act=${act} within=${within} full />
      `}
    >
      <div class="wrap">
        ${resource.problem && html`<${ErrorPanel} problem=${resource.problem} onRetry=${resource.reload} />`}
        <div class="dt-head">
          <div class="l1">
            <${StatusTag} status=${group.status} />
            <h1>
              ${line(fingerprint.exception?.split('.').pop() || T.failures.unknown, 120)}
              ${
                fingerprint.message &&
                html`<span class="mod">: ${visible(fingerprint.message.slice(0, 300))}</span>`
              }
            </h1>
          </div>
          <div class="l2">
            ${fingerprint.frame && html`<span class="mono">${line(fingerprint.frame, 200)}</span>`}
            <${StatusNote} of=${group.note} status=${group.status} />
          </div>
        </div>
        <dl class="panel facts">
          <${Fact} name=${T.failures.count}>${int(group.count)}</${Fact}>
          <${Fact} name=${T.failures.firstSeen}>
            <${Time} at=${group.first_seen_at} />
          </${Fact}>
          <${Fact} name=${T.failures.lastSeen}>
            <${RelativeTime} at=${group.last_seen_at} />
          </${Fact}>
          <${Fact} name=${T.failures.types}>${int(group.types.length)}</${Fact}>
          <${Fact} name=${T.pages.workers}>${int(group.workers.length)}</${Fact}>
        </dl>
        <div class="dt">
          <div class="stack">
            <${Trend} group=${group} span=${resource.data.span} onBrush=${brush} />
            <${Example} uuid=${group.example} />
            <${RecentTasks} tasks=${resource.data.tasks} query=${q} range=${range} />
          </div>
          <div class="stack">
            <${Shares}
              title=${T.failures.types}
              of=${group.types}
              all=${group.count}
              link=${(name) =>
                name
                  ? html`
                    <a href=${searchAddress(`${q} name:=${quoteValue(name)}`)}>
                      <${TaskName} name=${name} />
                    </a>
                  `
                  : (T.tasks.noValue)}
            />
            <${Shares}
              title=${T.pages.workers}
              of=${group.workers}
              all=${group.count}
              link=${(name) => html`<${WorkerLink} name=${name} />`}
            />
          </div>
        </div>
      </div>
    </${Page}>
  `;
}
