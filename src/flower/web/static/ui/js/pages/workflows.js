// The workflows page: newest first, with progress.

import { get } from '../api.js';
import { RangeMenu } from '../explorer/rangeMenu.js';
import { formatRange } from '../explorer/urlState.js';
import { duration, int } from '../format/numbers.js';
import { zone } from '../format/time.js';
import { html, useEffect, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { encodeSegment, href, setQuery } from '../router.js';
import { SearchBox } from '../search/searchBox.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { RowTime, TaskName } from '../ui/components.js';
import { RangeGapNote } from '../ui/gapNote.js';
import { EmptyState, ErrorPanel, Skeleton } from '../ui/panels.js';
import { toastProblem } from '../ui/toast.js';
import { useResource } from '../useResource.js';
import { Progress, WorkflowState } from '../workflow/progress.js';

const PAGE = 50;

/** The first page, refreshed, and older pages as they were when loaded. */
function useList(params) {
  const key = JSON.stringify(params);
  const [older, setOlder] = useState({ key, rows: [], cursor: undefined, loading: false });
  const refresh = useRefreshTimer(20);
  // No refreshes while older workflows are shown, so that no row moves.
  const first = useResource(
    (signal) => get('workflows', { ...params, limit: PAGE }, { signal }),
    [key, older.rows.length && older.key === key ? 0 : refresh],
  );
  const more = older.key === key ? older : { key, rows: [], cursor: undefined, loading: false };
  const cursor = more.cursor === undefined ? (first.data?.next_cursor ?? null) : more.cursor;
  const loadMore = async () => {
    setOlder({ ...more, loading: true });
    try {
      const response = await get('workflows', { ...params, limit: PAGE, cursor });
      setOlder({
        key,
        rows: [...more.rows, ...response.workflows],
        cursor: response.next_cursor,
        loading: false,
      });
    } catch (problem) {
      toastProblem(problem);
      setOlder({ ...more, loading: false });
    }
  };
  return {
    first,
    rows: first.data ? [...first.data.workflows, ...more.rows] : null,
    cursor,
    loadMore,
    loading: more.loading,
  };
}

const Row = ({ of }) => html`
  <tr>
    <td>
      <${WorkflowState} of=${of} />
    </td>
    <td class="nm type-c">
      <a href=${href(`workflows/${encodeSegment(of.uuid)}`)}>
        <${TaskName} name=${of.name} />
      </a>
    </td>
    <td class="prog-c">
      <${Progress} of=${of} />
    </td>
    <td class=${`right opt ${of.failed_count ? 'bad' : 'muted'}`}>${int(of.failed_count)}</td>
    <td class="right muted opt">${int(of.running_count)}</td>
    <td class="right opt">${duration(of.duration)}</td>
    <td class="right">
      <${RowTime} at=${of.started_at} />
    </td>
  </tr>
`;

export default function Workflows({ query }) {
  const q = query.get('q') ?? '';
  const [start = '', end = ''] = (query.get('t') ?? '').split('..');
  const list = useList({ query: q, start, end, tz: zone() });
  useLiveStream({ topics: ['status'] }, { reset: list.first.reload });
  useEffect(() => {
    document.querySelector('.page')?.scrollTo(0, 0);
  }, [q]);
  const queryError = list.first.problem?.code === 'invalid_query' ? list.first.problem : null;
  const c = T.workflows.columns;
  return html`
    <${Page}
      title=${T.pages.workflows}
      actions=${html`<${RangeMenu}
          start=${start}
          end=${end}
          onRange=${(from, to) => setQuery({ t: formatRange(from, to) })}
        />`}
    >
      <div class="wrap">
        <${SearchBox} value=${q} problem=${queryError} onSearch=${(text) => setQuery({ q: text })} />
        ${
          list.first.problem &&
          !queryError &&
          html`<${ErrorPanel} problem=${list.first.problem} onRetry=${list.first.reload} />`
        }
        ${
          !list.rows
            ? list.first.slow &&
              html`
                <section class="panel">
                  <${Skeleton} widths=${[60, 75, 50, 80]} />
                </section>
              `
            : list.rows.length
              ? html`
                <section class="panel" aria-label=${T.pages.workflows}>
                  <div class="scroll" tabindex="0" role="group" aria-label=${T.pages.workflows}>
                    <table class="t">
                      <thead>
                        <tr>
                          <th>${c.state}</th>
                          <th>${c.name}</th>
                          <th class="prog-c">${c.progress}</th>
                          <th class="right opt">${c.failed}</th>
                          <th class="right opt">${c.running}</th>
                          <th class="right opt">${c.duration}</th>
                          <th class="right">${c.started}</th>
                        </tr>
                      </thead>
                      <tbody>
                        ${list.rows.map((each) => html`<${Row} key=${each.uuid} of=${each} />`)}
                      </tbody>
                    </table>
                  </div>
                  <${RangeGapNote}
                    from=${Math.min(...list.rows.map((each) => each.started_at ?? Infinity))}
                    to=${Math.max(...list.rows.map((each) => (each.started_at ?? 0) + (each.duration ?? 0)))}
                  />
                </section>
              `
              : html`
                <${EmptyState}
                  title=${q || start ? T.workflows.noneMatch : T.workflows.noneTitle}
                  actions=${
                    (q || start) &&
                    html`
                      <a class="btn" href=${href('workflows')}>
                        ${T.workflows.all}
                      </a>
                    `
                  }
                >
                  <p>${T.workflows.noneText}</p>
                </${EmptyState}>
              `
        }
        ${
          list.cursor &&
          html`
            <button
              type="button"
              class="btn centre"
              disabled=${list.loading}
              onClick=${list.loadMore}
            >
              ${T.workflows.loadOlder}
            </button>
          `
        }
        ${list.first.data?.partial && html`<p class="muted small">${list.first.data.partial}</p>`}
      </div>
    </${Page}>
  `;
}
