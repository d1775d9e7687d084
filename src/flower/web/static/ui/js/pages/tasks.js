// The tasks page: search, histogram, facets and table. The URL holds the query and the time range.

import { bootstrapData } from '../bootstrapData.js';
import { denialReason } from '../currentUser.js';
import { BatchQueue } from '../explorer/batchQueue.js';
import { startBulkAction } from '../explorer/bulkAction.js';
import { apiColumns, findColumns, TEXT_LIMIT } from '../explorer/columns.js';
import { Facets, useFacets } from '../explorer/facets.js';
import { Grid } from '../explorer/grid.js';
import { GridMessages, NewRowsButton } from '../explorer/gridMessages.js';
import { Histogram, LEGEND } from '../explorer/histogram.js';
import { describeRange } from '../explorer/noTasks.js';
import { RangeMenu } from '../explorer/rangeMenu.js';
import { comparator } from '../explorer/rows.js';
import { SelectionBar } from '../explorer/selectionBar.js';
import { ColumnMenu, ExportMenu, openSaveSearchDialog } from '../explorer/toolbarMenus.js';
import {
  DEFAULT_SORT,
  formatRange,
  parseUrlState,
  searchParams,
  windowParams,
} from '../explorer/urlState.js';
import { useRows } from '../explorer/useRows.js';
import { int } from '../format/numbers.js';
import { zone } from '../format/time.js';
import { html, useEffect, useMemo, useRef, useState } from '../lib.js';
import { paused, useLiveStream } from '../liveStream.js';
import { useScheduledRefresh } from '../refreshTimer.js';
import { setQuery } from '../router.js';
import { savedSearches } from '../savedSearches.js';
import { SearchBox } from '../search/searchBox.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { rememberList } from '../task/prevNext.js';
import { Legend } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { toast } from '../ui/toast.js';

/** Rows inserted by the stream after which the list is loaded again. */
const MAX_LIVE_ROWS = 1000;
/**
 * New rows are highlighted only if few arrive at a time, after a pause in milliseconds: in a steady
 * flow the highlight would never end, and every frame would be painted again.
 */
const MAX_HIGHLIGHTED = 3;
const HIGHLIGHT_AFTER = 2000;

export default function Tasks({ query }) {
  const state = useMemo(() => parseUrlState(query, bootstrapData.columns), [query]);
  const columns = useMemo(() => findColumns(state.columns), [state]);
  const tz = zone();
  const window = searchParams(state, tz);
  const { rows, version, problem, loading, isLoaded, fresh, near, changed, reload, catchUp } =
    useRows(state, columns);
  const statistics = useScheduledRefresh();
  const facets = useFacets(window, statistics.refresh);
  const [selection, setSelection] = useState(/** @type {Set<string>} */ (new Set()));
  const [all, setAll] = useState(false);
  const [facetsOpen, setFacetsOpen] = useState(false);
  const scroller = useRef(/** @type {any} */ (null));
  const position = useRef({ top: true, pointer: false, moving: false });
  const arrived = useRef(-HIGHLIGHT_AFTER);
  const searchKey = JSON.stringify(window);

  const latestApply = useRef(/** @type {(batches: any[]) => void} */ (() => {}));
  const queue = useRef(/** @type {BatchQueue | null} */ (null));
  queue.current ??= new BatchQueue((batches) => latestApply.current(batches));

  // The parameters of Flower's links are replaced by a query.
  useEffect(() => {
    const old = ['search', 'state', 'worker', 'name'].filter((name) => query.has(name));
    if (old.length)
      setQuery(
        { q: state.q, ...Object.fromEntries(old.map((name) => [name, ''])) },
        { replace: true },
      );
  }, [query]);
  useEffect(() => {
    queue.current?.clear();
    setSelection(new Set());
    setAll(false);
    if (scroller.current) scroller.current.scrollTop = 0;
  }, [searchKey, state.sort]);

  const release = () => {
    if (!rows.canApplyPending) reload();
    else {
      const ids = rows.applyPending();
      highlight(ids);
      changed();
    }
  };
  const highlight = (ids) => {
    fresh.clear();
    if (!ids.length) return;
    const now = performance.now();
    if (ids.length <= MAX_HIGHLIGHTED && now - arrived.current > HIGHLIGHT_AFTER)
      for (const id of ids) fresh.add(id);
    arrived.current = now;
  };
  const moving = () => position.current.top && !position.current.pointer && !selection.size;
  const apply = (batches) => {
    const inserted = [];
    let isOmitting = false;
    for (const batch of batches) {
      const omitted = (batch.more ?? 0) + (batch.omitted ?? 0);
      isOmitting ||= omitted > 0;
      inserted.push(...rows.apply({ ...batch, more: moving() ? 0 : omitted }, !moving()));
    }
    highlight(inserted);
    // At the top the first page is loaded again when the stream leaves out tasks, or when many rows
    // were inserted, so that a page left open for a day uses no more memory than at first.
    if (moving() && (isOmitting || rows.arrived > MAX_LIVE_ROWS))
      catchUp(() => moving() && !paused.peek(), isOmitting);
    changed();
  };
  latestApply.current = apply;
  useEffect(() => () => queue.current?.clear(), []);
  useLiveStream(
    {
      ...window,
      columns: apiColumns(columns, state.sort),
      text_limit: TEXT_LIMIT,
      topics: ['tasks', 'status'],
    },
    {
      tasks: (batch) => {
        statistics.schedule();
        queue.current?.push(batch);
      },
      reset: () => {
        statistics.schedule();
        if (position.current.top && !position.current.pointer) reload();
        else {
          rows.unsent += 1;
          changed();
        }
      },
    },
  );
  const moved = (now) => {
    const before = position.current;
    position.current = now;
    queue.current?.setMoving(now.moving);
    // The pointer has left the rows, and the table is at its top: waiting rows are inserted.
    if (
      (before.pointer || !before.top) &&
      now.top &&
      !now.pointer &&
      rows.pendingCount &&
      !selection.size &&
      !paused.value
    )
      release();
  };

  // The page of a task has links to the previous and next task of this list.
  useEffect(() => {
    rememberList(() => rows.ids());
  }, [rows]);

  const search = (q) => {
    setQuery({ q, search: '', state: '', worker: '', name: '' });
    if (q === state.q) reload();
  };
  const sortBy = (column) => {
    const isDescending = comparator(column.sort) !== null;
    const [first, second] = isDescending
      ? [`-${column.sort}`, column.sort]
      : [column.sort, `-${column.sort}`];
    const next = state.sort === first ? second : first;
    setQuery({ sort: next === DEFAULT_SORT ? '' : next });
  };
  const act = async (action) => {
    if (!selection.size && !all) return;
    const why = denialReason('tasks');
    if (why) {
      toast(why);
      return;
    }
    if (
      await startBulkAction(/** @type {any} */ (action), all ? window : { ids: [...selection] })
    ) {
      setSelection(new Set());
      setAll(false);
    }
  };
  const total = facets.data?.count ?? null;
  const queryError = problem?.code === 'invalid_query' || problem?.status === 400 ? problem : null;
  const actions = html`
    <${NewRowsButton}
      rows=${rows}
      version=${version}
      onShow=${() => {
        scroller.current.scrollTop = 0;
        release();
      }}
    />
    <button
      type="button"
      class="btn quiet only-narrow"
      aria-expanded=${facetsOpen ? 'true' : 'false'}
      onClick=${() => setFacetsOpen(!facetsOpen)}
    >
      <${Icon} name="filter" />
      <span>${T.tasks.filters}</span>
    </button>
    <${ColumnMenu} columns=${columns} onColumns=${(ids) => setQuery({ cols: ids.join(',') })} />
    <${ExportMenu} window=${window} columns=${columns} />
  `;
  return html`
    <${Page} title=${T.tasks.title} fixed actions=${actions}>
      <div class="ex">
        <div class="ex-top">
          <${SearchBox}
            value=${state.q}
            problem=${queryError}
            onSearch=${search}
            end=${
              savedSearches.value &&
              html`
                <button type="button" class="btn quiet" onClick=${() => openSaveSearchDialog(state)}>
                  <${Icon} name="save" />
                  <span>${T.tasks.save}</span>
                </button>
              `
            }
          />
        </div>
        <div class="hist">
          <div class="cap">
            <strong>${total === null ? '…' : int(total)}</strong>
            <span class="muted cap-t">
              ${T.tasks.count(total ?? 2, !!state.q)} ${describeRange(state)}
            </span>
            ${
              facets.data?.partial &&
              html`
                <span class="warn small" title=${facets.data.partial}>
                  ${T.tasks.partial}
                </span>
              `
            }
            <${RangeMenu}
              key=${state.start + state.end}
              start=${state.start}
              end=${state.end}
              by=${state.by}
              onBy=${(by) => setQuery({ by, b: '' })}
              onRange=${(a, b) => setQuery({ t: formatRange(a, b), b: '' })}
            />
            ${
              state.brush &&
              html`
                <button
                  type="button"
                  class="btn quiet"
                  onClick=${() =>
                    setQuery({
                      t: formatRange(String(state.brush?.[0]), String(state.brush?.[1])),
                      b: '',
                    })}
                >
                  ${T.tasks.zoom}
                </button>
                <button
                  type="button"
                  class="btn quiet icon"
                  aria-label=${T.tasks.clearBrush}
                  title=${T.tasks.clearBrush}
                  onClick=${() => setQuery({ b: '' })}
                >
                  <${Icon} name="x" />
                </button>
              `
            }
            <span class="sp"></span>
            <${Legend} items=${LEGEND} />
          </div>
          <${Histogram}
            window=${windowParams(state, tz)}
            refresh=${statistics.refresh}
            brush=${state.brush}
            onBrush=${(a, b) => setQuery({ b: `${Math.floor(a)}..${Math.ceil(b)}` })}
          />
        </div>
        <div class="ex-main">
          <aside class=${`fac${facetsOpen ? ' open' : ''}`} aria-label=${T.tasks.filters}>
            <button
              type="button"
              class="btn quiet icon only-narrow shut"
              aria-label=${T.nav.close}
              onClick=${() => setFacetsOpen(false)}
            >
              <${Icon} name="x" />
            </button>
            <${Facets} of=${facets} query=${state.q} onQuery=${search} />
          </aside>
          <div class=${`gridbox${loading && isLoaded ? ' wait' : ''}${queryError ? ' stale' : ''}`}>
            <${Grid}
              rows=${rows}
              version=${version}
              columns=${columns}
              chosen=${state.chosen}
              sort=${state.sort}
              total=${total}
              busy=${loading}
              selection=${selection}
              fresh=${fresh}
              scroller=${scroller}
              onSort=${sortBy}
              onSelect=${(next) => {
                setSelection(next);
                setAll(false);
              }}
              onNear=${near}
              onMoved=${moved}
              onAct=${act}
              isOpenEnded=${!state.end && !state.brush}
            />
            <${GridMessages}
              rows=${rows}
              version=${version}
              state=${state}
              isLoaded=${isLoaded}
              loading=${loading}
              problem=${problem}
              queryError=${queryError}
              onRetry=${reload}
            />
            <${SelectionBar}
              selection=${selection}
              all=${all}
              total=${total}
              onAll=${() => setAll(true)}
              onAct=${act}
              onClear=${() => {
                setSelection(new Set());
                setAll(false);
              }}
              window=${window}
              columns=${columns}
            />
          </div>
        </div>
      </div>
    </${Page}>
  `;
}
