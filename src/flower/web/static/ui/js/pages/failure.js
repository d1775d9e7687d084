// One kind of failure: how often, since when, where, and one of its tasks in full.

import { get } from '../api.js';
import { RangeMenu } from '../explorer/toolbarMenus.js';
import { formatRange } from '../explorer/urlState.js';
import { useFailureActions } from '../failures/actions.js';
import { failureTitle, StatusNote, StatusTag } from '../failures/components.js';
import { failureQuery, GroupActions } from '../failures/menu.js';
import { compact, duration, int, plural } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { span as spanOf, zone } from '../format/time.js';
import { html } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { address, encodeSegment, href, searchAddress, setQuery } from '../router.js';
import { GapNotice, Page } from '../shell/page.js';
import { T } from '../strings.js';
import { Failure } from '../task/traceback.js';
import { ChartWithTable } from '../ui/chart.js';
import {
  Fact,
  Meter,
  quoted,
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

const LATEST = 20;
const COLUMNS = [
  'state',
  'name',
  'worker',
  'received',
  'timestamp',
  'runtime',
  'exception',
  'args',
];
const SHARES = 12;

const Crumb = ({ title = '', within }) => html`
  <nav class="crumb" aria-label=${T.failures.crumbs}>
    <a href=${address('failures', { q: within.q })}>${T.pages.failures}</a>
    ${
      title &&
      html`
        <${Icon} n="right" />
        <span class="trunc">${title}</span>
      `
    }
  </nav>
`;

/** Affected types or workers, each with its share. */
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
        html`<p class="muted pad16 small">${T.tasks.moreValues(of.length - SHARES)}</p>`
      }
    </${Panel}>
  `;
}

function Latest({ tasks, query, range }) {
  return html`
    <${Panel}
      title=${T.failures.latest}
      end=${html`<a href=${searchAddress(query, range ? { t: range } : {})}>${T.failures.itsTasks}</a>`}
    >
      <div class="scroll" tabindex="0" role="group" aria-label=${T.failures.latest}>
        <table class="t">
          <thead>
            <tr>
              <th>${T.tasks.column.state}</th>
              <th>${T.tasks.column.uuid}</th>
              <th class="opt">${T.tasks.column.name}</th>
              <th>${T.tasks.column.worker}</th>
              <th class="right opt">${T.tasks.column.runtime}</th>
              <th class="right">${T.tasks.column.timestamp}</th>
            </tr>
          </thead>
          <tbody>
            ${tasks.map(
              (task) => html`
                <tr key=${task.uuid}>
                  <td>
                    <${TaskState} s=${task.state} />
                  </td>
                  <td>
                    <${TaskLink} uuid=${task.uuid} short />
                  </td>
                  <td class="nm type-c opt">
                    <${TaskName} n=${task.name} />
                  </td>
                  <td>
                    <${WorkerLink} name=${task.worker} short />
                  </td>
                  <td class="right opt">${duration(task.runtime)}</td>
                  <td class="right">
                    <${RowTime} at=${task.timestamp} />
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

/** One of its tasks: what went wrong, in full. */
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
  const times = group.trend.map((_, i) => span.start + i * span.width);
  return html`
    <${Panel}
      title=${T.failures.trend}
      end=${html`<span class="muted small">${T.failures.perStretch(spanOf(span.width))}</span>`}
    >
      <div class="chart pad-table">
        <${ChartWithTable}
          label=${T.failures.trendLabel}
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
  const turn = useRefreshTimer(20);
  const found = useResource(
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
          limit: LATEST,
        },
        { signal },
      ),
    [id, query.toString(), turn],
  );
  const { shown, act } = useFailureActions(found.reload);
  useLiveStream({ topics: ['status'] }, { reset: found.reload });
  const ranges = html`
    <${RangeMenu}
      start=${within.start}
      end=${within.end}
      onRange=${(start, end) => setQuery({ t: formatRange(start, end) })}
    />
  `;
  if (found.problem?.status === 404) {
    const narrowed = within.q || within.start || within.end;
    return html`
      <${Page} title=${T.failures.goneTitle} crumb=${html`<${Crumb} within=${within} />`} actions=${ranges}>
        <${EmptyState}
          page
          title=${T.failures.goneTitle}
          actions=${html`
            ${
              narrowed &&
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
          <p>${narrowed ? T.failures.goneWithin : T.failures.gone}</p>
        </${EmptyState}>
      </${Page}>
    `;
  }
  if (!found.data)
    return html`
      <${Page} title=${T.pages.failures} crumb=${html`<${Crumb} within=${within} />`}>
        <div class="wrap">
          ${
            found.problem
              ? html`<${ErrorPanel} problem=${found.problem} onRetry=${found.reload} />`
              : found.slow && html`<${Skeleton} widths=${[60, 30, 80, 70]} />`
          }
        </div>
      </${Page}>
    `;
  const group = shown(found.data.group);
  const { fingerprint: mark } = group;
  const range = formatRange(within.start, within.end);
  const q = failureQuery(mark.id, within.q);
  const brush = (from, to) => setQuery({ t: `${from.toFixed(0)}..${to.toFixed(0)}` });
  return html`
    <${Page}
      title=${failureTitle(mark, 120)}
      crumb=${html`<${Crumb} title=${line(mark.exception, 80)} within=${within} />`}
      actions=${html`
        ${ranges}
        <${GroupActions} group=${group} act=${act} within=${within} full />
      `}
    >
      <div class="wrap">
        <${GapNotice} />
        ${found.problem && html`<${ErrorPanel} problem=${found.problem} onRetry=${found.reload} />`}
        <div class="dt-head">
          <div class="l1">
            <${StatusTag} s=${group.status} />
            <h1>
              ${line(mark.exception?.split('.').pop() || T.failures.unknown, 120)}
              ${
                mark.message &&
                html`<span class="mod">: ${visible(mark.message.slice(0, 300))}</span>`
              }
            </h1>
          </div>
          <div class="l2">
            ${mark.frame && html`<span class="mono">${line(mark.frame, 200)}</span>`}
            <${StatusNote} of=${group.note} status=${group.status} />
          </div>
        </div>
        <dl class="panel facts">
          <${Fact} name=${T.failures.count}>${int(group.count)}</${Fact}>
          <${Fact} name=${T.failures.firstSeen}>
            <${Time} at=${group.first_seen} />
          </${Fact}>
          <${Fact} name=${T.failures.lastSeen}>
            <${RelativeTime} at=${group.last_seen} />
          </${Fact}>
          <${Fact} name=${T.failures.types}>${plural(group.types.length, 'type')}</${Fact}>
          <${Fact} name=${T.pages.workers}>${int(group.workers.length)}</${Fact}>
        </dl>
        <div class="dt">
          <div class="stack">
            <${Trend} group=${group} span=${found.data.span} onBrush=${brush} />
            <${Example} uuid=${group.example} />
            <${Latest} tasks=${found.data.tasks} query=${q} range=${range} />
          </div>
          <div class="stack">
            <${Shares}
              title=${T.failures.types}
              of=${group.types}
              all=${group.count}
              link=${(name) =>
                name
                  ? html`
                    <a href=${searchAddress(`${q} name:=${quoted(name)}`)}>
                      <${TaskName} n=${name} />
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
