// Workflows, newest first, and how far each is.

import { get } from '../api.js';
import { RangeMenu } from '../explorer/toolbarMenus.js';
import { formatRange } from '../explorer/urlState.js';
import { duration, int } from '../format/numbers.js';
import { zone } from '../format/time.js';
import { html, useEffect, useState } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { encodeSegment, href, setQuery } from '../router.js';
import { SearchBox } from '../search/searchBox.js';
import { GapNotice, Page } from '../shell/page.js';
import { T } from '../strings.js';
import { RowTime, TaskName } from '../ui/components.js';
import { EmptyState, ErrorPanel, Skeleton } from '../ui/panels.js';
import { toastProblem } from '../ui/toast.js';
import { useResource } from '../useResource.js';
import { Progress, WorkflowState } from '../workflow/progress.js';

const PAGE = 50;

/** The first page as it is now, and older ones as they were when asked for. */
function useList(asked) {
  const key = JSON.stringify(asked);
  const [older, setOlder] = useState({ key, rows: [], cursor: undefined, reading: false });
  const turn = useRefreshTimer(20);
  // While older ones are looked at nothing moves.
  const first = useResource(
    (signal) => get('workflows', { ...asked, limit: PAGE }, { signal }),
    [key, older.rows.length && older.key === key ? 0 : turn],
  );
  const more = older.key === key ? older : { key, rows: [], cursor: undefined, reading: false };
  const cursor = more.cursor === undefined ? (first.data?.cursor ?? null) : more.cursor;
  const read = async () => {
    setOlder({ ...more, reading: true });
    try {
      const told = await get('workflows', { ...asked, limit: PAGE, cursor });
      setOlder({
        key,
        rows: [...more.rows, ...told.workflows],
        cursor: told.cursor,
        reading: false,
      });
    } catch (problem) {
      toastProblem(problem);
      setOlder({ ...more, reading: false });
    }
  };
  return {
    first,
    rows: first.data ? [...first.data.workflows, ...more.rows] : null,
    cursor,
    read,
    reading: more.reading,
  };
}

const Row = ({ of }) => html`
  <tr>
    <td>
      <${WorkflowState} of=${of} />
    </td>
    <td class="nm type-c">
      <a href=${href(`workflows/${encodeSegment(of.uuid)}`)}>
        <${TaskName} n=${of.name} />
      </a>
    </td>
    <td class="prog-c">
      <${Progress} of=${of} />
    </td>
    <td class=${`right opt ${of.failed ? 'bad' : 'muted'}`}>${int(of.failed)}</td>
    <td class="right muted opt">${int(of.running)}</td>
    <td class="right opt">${duration(of.seconds)}</td>
    <td class="right">
      <${RowTime} at=${of.started} />
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
  const wrong = list.first.problem?.code === 'invalid_search' ? list.first.problem : null;
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
        <${GapNotice} />
        <${SearchBox} value=${q} problem=${wrong} onSearch=${(text) => setQuery({ q: text })} />
        ${
          list.first.problem &&
          !wrong &&
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
                          <th class="right opt">${c.took}</th>
                          <th class="right">${c.started}</th>
                        </tr>
                      </thead>
                      <tbody>
                        ${list.rows.map((each) => html`<${Row} key=${each.uuid} of=${each} />`)}
                      </tbody>
                    </table>
                  </div>
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
              disabled=${list.reading}
              onClick=${list.read}
            >
              ${T.workflows.older}
            </button>
          `
        }
        ${list.first.data?.partial && html`<p class="muted small">${list.first.data.partial}</p>`}
      </div>
    </${Page}>
  `;
}
