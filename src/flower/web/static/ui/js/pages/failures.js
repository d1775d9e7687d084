// The failures page: failure groups with status, trend and actions.

import { get } from '../api.js';
import { RangeMenu } from '../explorer/rangeMenu.js';
import { formatRange } from '../explorer/urlState.js';
import { useFailureActions } from '../failures/actions.js';
import { failureTitle, StatusNote, StatusTag } from '../failures/components.js';
import { GroupActions } from '../failures/menu.js';
import { DEFAULT_RANGE, STATUSES, UNRESOLVED } from '../failures/statuses.js';
import { int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { zone } from '../format/time.js';
import { html, useEffect, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { address, encodeSegment, setQuery } from '../router.js';
import { SearchBox } from '../search/searchBox.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { Segmented, Sparkline } from '../ui/components.js';
import { RangeGapNote } from '../ui/gapNote.js';
import { RelativeTime } from '../ui/operationsComponents.js';
import { EmptyState, ErrorPanel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const PAGE_SIZE = 50;
const MAX_GROUPS = 1000;

/** The filters in the query string. @param {URLSearchParams} query */
export function filters(query, range = DEFAULT_RANGE) {
  const [start = '', end = ''] = (query.has('t') ? (query.get('t') ?? '') : range).split('..');
  const chosen = (query.get('status') ?? '').split(',').filter((each) => STATUSES.includes(each));
  return {
    q: query.get('q') ?? '',
    start: start === 'all' ? '' : start,
    end,
    status: query.get('status') === 'all' ? [] : chosen.length ? chosen : UNRESOLVED,
  };
}

const ValueSummary = ({ of, missing }) =>
  of.length
    ? html`
      ${line(of[0].value ?? T.tasks.noValue, 60)}
      ${
        of.length > 1
          ? html`
            ${' '}
            <span class="muted">${T.failures.andMore(of.length - 1)}</span>
          `
          : ''
      }
    `
    : html`<span class="muted">${missing}</span>`;

function Group({ group, act, within }) {
  const { fingerprint } = group;
  const isClosed = group.status === 'resolved' || group.status === 'muted';
  const to = address(`failures/${encodeSegment(fingerprint.id)}`, {
    q: within.q,
    t: formatRange(within.start, within.end),
  });
  return html`
    <li class=${`fg${isClosed ? ' settled' : ''}`} aria-label=${failureTitle(fingerprint)}>
      <div class="fg-t">
        <div class="fg-l">
          <a href=${to} title=${line(fingerprint.message, 500)}>
            ${failureTitle(fingerprint)}
          </a>
          <${StatusTag} status=${group.status} />
        </div>
        <p class="muted trunc">
          <${ValueSummary} of=${group.types} missing=${T.unknownName} /> ·${' '}
          <${ValueSummary} of=${group.workers} missing=${T.failures.noWorker} />
          ${
            fingerprint.frame &&
            html`
              ${' '}
              · <span class="mono">${line(fingerprint.frame, 120)}</span>
            `
          }
        </p>
        <${StatusNote} of=${group.note} status=${group.status} />
      </div>
      <div class="fg-s">
        <${Sparkline} values=${group.trend} tone=${isClosed ? '' : 'bad'} w=${110} />
      </div>
      <div class="fg-n num">
        <b>${int(group.count)}</b>
        <small>${T.failures.countUnit(group.count)}</small>
      </div>
      <div class="fg-w">
        <span>
          <${RelativeTime} at=${group.last_failure_at} />
        </span>
        <small>
          ${T.failures.firstSeenShort} <${RelativeTime} at=${group.first_seen_at} />
        </small>
      </div>
      <div class="fg-a">
        <${GroupActions} group=${group} act=${act} within=${within} />
      </div>
    </li>
  `;
}

function NoFailures({ within, all }) {
  const isClosed =
    within.status.length === UNRESOLVED.length &&
    within.status.every((each) => UNRESOLVED.includes(each));
  const actions = html`
    ${
      within.status.length > 0 &&
      html`
        <a
          class="btn"
          href=${address('failures', {
            q: within.q,
            t: all ? '' : formatRange(within.start, within.end),
            status: 'all',
          })}
        >
          ${T.failures.showAll}
        </a>
      `
    }
    ${
      (within.start || within.end) &&
      html`
        <a class="btn quiet" href=${address('failures', { q: within.q, t: 'all' })}>
          ${T.tasks.allTime}
        </a>
      `
    }
  `;
  return html`
    <${EmptyState}
      title=${isClosed && !within.q ? T.failures.noneTitle : T.failures.noneMatch}
      actions=${actions}
    >
      <p>${isClosed && !within.q ? T.failures.noneText : T.failures.noneMatchText}</p>
    </${EmptyState}>
  `;
}

export default function Failures({ query }) {
  const within = filters(query);
  const limit = query.get('more') ? MAX_GROUPS : PAGE_SIZE;
  const refresh = useRefreshTimer(20);
  const list = useResource(
    (signal) =>
      get(
        'failures',
        {
          query: within.q,
          start: within.start,
          end: within.end,
          tz: zone(),
          status: within.status,
          limit,
          buckets: 48,
        },
        { signal },
      ),
    [query.toString(), refresh],
  );
  const { shown, act, busy } = useFailureActions(list.reload);
  const stable = useStableList(list.data, busy);
  useLiveStream({ topics: ['status'] }, { reset: list.reload });
  const queryError = list.problem?.code === 'invalid_query' ? list.problem : null;
  const status = query.get('status') ?? '';
  const choices = [
    ['', T.failures.unresolved],
    ...STATUSES.map((each) => [each, T.failures.status[each]]),
    ['all', T.failures.all],
  ];
  return html`
    <${Page}
      title=${T.pages.failures}
      actions=${html`<${RangeMenu}
          start=${within.start}
          end=${within.end}
          onRange=${(start, end) => setQuery({ t: formatRange(start, end) || 'all' })}
        />`}
    >
      <div class="wrap">
        <${SearchBox}
          value=${within.q}
          problem=${queryError}
          onSearch=${(q) => setQuery({ q, more: '' })}
        />
        <div class="filter-row">
          <${Segmented}
            label=${T.failures.statusLabel}
            items=${choices}
            value=${status}
            onPick=${(selected) => setQuery({ status: selected, more: '' })}
          />
          <span class="sp"></span>
          ${
            stable &&
            html`
              <span class="muted small">
                ${T.failures.total(stable.failures.length + stable.more, stable.count)}
              </span>
            `
          }
        </div>
        ${
          list.problem &&
          !queryError &&
          html`<${ErrorPanel} problem=${list.problem} onRetry=${list.reload} />`
        }
        ${
          !stable
            ? list.slow &&
              html`
                <section class="panel">
                  <${Skeleton} widths=${[70, 45, 80, 60, 50]} />
                </section>
              `
            : stable.failures.length
              ? html`
                <section class="panel" aria-label=${T.pages.failures}>
                  <h2 class="vh">${T.failures.groups}</h2>
                  <ul class="fgs">
                    ${stable.failures.map(
                      (group) => html`
                        <${Group}
                          key=${group.fingerprint.id}
                          group=${shown(group)}
                          act=${act}
                          within=${within}
                        />
                      `,
                    )}
                  </ul>
                  ${
                    stable.span &&
                    html`
                      <${RangeGapNote}
                        from=${stable.span.start_at}
                        to=${stable.span.start_at + stable.span.width * stable.span.buckets}
                      />
                    `
                  }
                </section>
              `
              : html`<${NoFailures} within=${within} all=${false} />`
        }
        ${
          stable?.more > 0 &&
          html`
            <button type="button" class="btn centre" onClick=${() => setQuery({ more: '1' })}>
              ${T.failures.more(stable.more)}
            </button>
          `
        }
        ${stable?.partial && html`<p class="muted small">${stable.partial}</p>`}
      </div>
    </${Page}>
  `;
}

/** The list as it was while changes can be undone, so that rows do not move. */
function useStableList(data, busy) {
  const [previous, setPrevious] = useState(data);
  useEffect(() => {
    if (!busy) setPrevious(data);
  }, [data, busy]);
  return busy && previous ? previous : data;
}
