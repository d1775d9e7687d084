// The tasks table: only visible rows are in the document. One tab stop; arrow keys, j and k move inside.

import { visible } from '../format/text.js';
import { gaps, gapText, separateRows } from '../gaps.js';
import { useKeyboardShortcuts } from '../keyboardShortcuts.js';
import { Component, html, useEffect, useLayoutEffect, useRef, useState } from '../lib.js';
import { encodeSegment, href, navigate } from '../router.js';
import * as T from '../strings.js';
import { Icon } from '../ui/icons.js';
import { fitColumns } from './columns.js';
import { RowRecycler } from './rowRecycler.js';
import { sortField } from './rows.js';
import { ScrollSpeed } from './scrollSpeed.js';

/** Heights in pixels. */
export const ROW = 34;
const HEAD = 36;
/** Milliseconds without scrolling after which scrolling has ended. */
const REST = 150;
/** Columns by which rows are in order of time, so that gaps have a place between them. */
const TIME_SORTS = new Set([
  'time_at',
  'received_at',
  'sent_at',
  'started_at',
  'ended_at',
  'last_event_at',
]);

class Row extends Component {
  element = /** @type {any} */ (null);
  ref = (element) => {
    this.element = element;
  };

  shouldComponentUpdate(next) {
    const now = this.props;
    const isChanged =
      next.row !== now.row ||
      next.on !== now.on ||
      next.current !== now.current ||
      next.columns !== now.columns ||
      next.only !== now.only ||
      next.fresh !== now.fresh ||
      next.gap !== now.gap;
    if (!isChanged && next.index !== now.index) this.place(next.index);
    return isChanged;
  }

  componentDidMount() {
    this.place(this.props.index);
  }

  componentDidUpdate() {
    this.place(this.props.index);
  }

  /** Sets the position without a new rendering: an inserted row moves all rows below it. */
  place(index) {
    if (!this.element) return;
    this.element.style.top = `${index * ROW}px`;
    this.element.ariaRowIndex = String(index + 2);
  }

  render({ row, on, current, columns, only, fresh, gap }) {
    if (!row)
      return html`
        <div class="gr" role="row" ref=${this.ref}>
          <span role="gridcell"></span>
          <span role="gridcell" class="wide">
            <div class="skel"></div>
          </span>
        </div>
      `;
    return html`
      <div
        class=${[
          'gr',
          on && 'sel',
          current && 'cur',
          fresh && 'fresh',
          row.gone && 'gone',
          gap && 'after-gap',
        ]
          .filter(Boolean)
          .join(' ')}
        role="row"
        id=${`row-${row.uuid}`}
        ref=${this.ref}
        aria-selected=${on ? 'true' : 'false'}
        data-id=${row.uuid}
      >
        <span role="gridcell" class="ck">
          <input
            type="checkbox"
            class="check"
            aria-label=${T.tasks.selectRow(row.name ?? row.uuid)}
            checked=${on}
            tabindex="-1"
          />
        </span>
        ${columns.map(
          (column) => html`
            <span
              role="gridcell"
              key=${column.id}
              class=${`${column.cls ?? ''}${column.right ? ' right' : ''} c-${column.id.replace(/\W/g, '_')}`}
            >
              ${!only || only.has(column) ? column.cell(row) : null}
            </span>
          `,
        )}
        ${
          gap &&
          html`
            <span role="gridcell" class="gap-mark" title=${gap}>
              <span class="trunc"><i class="hatch" aria-hidden="true"></i>${gap}</span>
            </span>
          `
        }
      </div>
    `;
  }
}

function HeaderRow({ columns, sort, onSort, selection, rows, onAll }) {
  const box = useRef(/** @type {any} */ (null));
  const some = selection.size > 0;
  const all = some && selection.size >= rows.total;
  useEffect(() => {
    if (box.current) box.current.indeterminate = some && !all;
  });
  const key = sort.replace('-', '');
  return html`
    <div class="gh" role="row" aria-rowindex="1">
      <span role="columnheader" class="ck">
        <input
          ref=${box}
          type="checkbox"
          class="check"
          aria-label=${T.tasks.selectAll}
          checked=${all}
          onClick=${onAll}
        />
      </span>
      ${columns.map((column) => {
        const on = column.sort && column.sort === key;
        return html`
          <span
            role="columnheader"
            key=${column.id}
            class=${`${column.right ? 'right' : ''} c-${column.id.replace(/\W/g, '_')}`}
            aria-sort=${
              on ? (sort.startsWith('-') ? 'descending' : 'ascending') : column.sort ? 'none' : null
            }
          >
            ${
              column.sort
                ? html`
                  <button
                    type="button"
                    class=${on ? 'on' : ''}
                    tabindex="-1"
                    onClick=${() => onSort(column)}
                  >
                    <span>${column.label}</span>
                    ${on && html`<${Icon} name=${sort.startsWith('-') ? 'down' : 'up'} />`}
                  </button>
                `
                : html`<span>${column.label}</span>`
            }
          </span>
        `;
      })}
    </div>
  `;
}

/** For each visible row, the text of the gaps between it and the row before; '' without. */
function describeGaps(rows, from, visibleRows, sort, isOpenEnded) {
  const key = sortField(sort);
  if (!TIME_SORTS.has(key)) return visibleRows.map(() => '');
  const isDescending = sort.startsWith('-');
  const time = (row) => row?.[key] ?? row?.time_at;
  const first =
    from > 0 ? time(rows.at(from - 1)) : isDescending && !isOpenEnded ? -Infinity : null;
  return separateRows(gaps.value, [first, ...visibleRows.map(time)], isDescending).map((found) =>
    found.length ? T.gaps.label(visible(found.slice(0, 3).map(gapText).join('; '))) : '',
  );
}

/**
 * @param {{rows: any, version: {value: number}, columns: any[], chosen: boolean, sort: string, total: number
 *   | null, busy: boolean, selection: Set<string>, fresh: Set<string>, onSort: (column: any) =>
 *   void, onSelect: (next: Set<string>) => void, onNear: (from: number, to: number) => void,
 *   onMoved: (position: {top: boolean, pointer: boolean, moving: boolean}) => void, scroller: any, onAct: (action:
 *   string) => void, isOpenEnded: boolean}} props
 * version: a signal that changes with the rows; onNear: these indexes are about to become visible; isOpenEnded:
 * whether the list ends now and not at an earlier time
 */
export function Grid({
  rows,
  version,
  columns,
  chosen,
  sort,
  total,
  busy,
  selection,
  fresh,
  onSort,
  onSelect,
  onNear,
  onMoved,
  scroller,
  onAct,
  isOpenEnded,
}) {
  const [view, setView] = useState({
    top: 0,
    height: 600,
    width: 1000,
    moving: false,
    fast: false,
  });
  const [current, setCurrent] = useState(/** @type {string | null} */ (null));
  const anchor = useRef(/** @type {string | null} */ (null));
  const box = scroller;
  const state = useRef({ top: true, pointer: false, moving: false });
  const recycler = useRef(new RowRecycler());
  const speed = useRef(new ScrollSpeed());
  const restTimer = useRef(0);
  const moved = (change) => {
    state.current = { ...state.current, ...change };
    onMoved(state.current);
  };
  const shownVersion = version.value; // read here, so that the rows are rendered again when they change

  useLayoutEffect(() => {
    const el = box.current;
    const sizes = new ResizeObserver(() =>
      setView((previous) => ({
        ...previous,
        height: Math.min(el.clientHeight, innerHeight),
        width: el.clientWidth,
      })),
    ); // in print the table is as high as its rows
    sizes.observe(el);
    return () => {
      sizes.disconnect();
      clearTimeout(restTimer.current);
    };
  }, []);
  const count = rows.total;
  const from = Math.max(0, Math.floor(view.top / ROW) - 8);
  const to = Math.min(count, from + Math.ceil(view.height / ROW) + 16);
  useEffect(() => {
    onNear(from, to);
  }, [from, to, shownVersion]);

  const currentIndex = () => (current === null ? -1 : rows.indexOf(current));
  const scrollTo = (at) => {
    const el = box.current;
    const y = at * ROW;
    if (y < el.scrollTop) el.scrollTop = y;
    else if (y + HEAD + ROW > el.scrollTop + el.clientHeight)
      el.scrollTop = y + HEAD + ROW - el.clientHeight;
  };
  const step = (by) => {
    const at = Math.max(0, Math.min(count - 1, currentIndex() + by));
    const row = rows.at(at);
    if (!row) return;
    setCurrent(row.uuid);
    scrollTo(at);
    box.current.focus({ preventScroll: true });
  };
  const toggle = (uuid, range) => {
    const next = new Set(selection);
    const [a, b] = [
      rows.indexOf(uuid),
      anchor.current === null ? -1 : rows.indexOf(anchor.current),
    ];
    if (range && a >= 0 && b >= 0)
      for (const row of rows.slice(Math.min(a, b), Math.max(a, b) + 1)) {
        if (row) next.add(row.uuid);
      }
    else if (next.has(uuid)) next.delete(uuid);
    else next.add(uuid);
    anchor.current = uuid;
    onSelect(next);
  };
  const page = () => Math.max(1, Math.floor((view.height - HEAD) / ROW) - 1);
  const open = () => {
    if (current !== null && rows.where.has(current))
      navigate(href(`task/${encodeSegment(current)}`));
  };
  useKeyboardShortcuts({
    j: () => step(1),
    k: () => step(-1),
    o: open,
    x: () => {
      if (current !== null) toggle(current, false);
    },
    X: () => {
      if (current !== null) toggle(current, true);
    },
    r: () => onAct('rerun'),
    v: () => onAct('revoke'),
    Escape: () => {
      if (selection.size) onSelect(new Set());
      else setCurrent(null);
    },
  });
  const onKeyDown = (event) => {
    if (event.target !== box.current) return;
    const handler = {
      ArrowDown: () => step(1),
      ArrowUp: () => step(-1),
      PageDown: () => step(page()),
      PageUp: () => step(-page()),
      Home: () => step(-count),
      End: () => step(count),
      Enter: open,
      ' ': () => {
        if (current !== null) toggle(current, event.shiftKey);
      },
    }[event.key];
    if (handler && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      handler();
    }
  };
  const onClick = (event) => {
    const element = event.target.closest('.gr');
    if (!element) return;
    if (event.target.closest('.ck')) {
      toggle(element.dataset.id, event.shiftKey);
      const input = element.querySelector('.check');
      // The browser toggles the checkbox after this handler; the selection decides.
      requestAnimationFrame(() => {
        if (input.isConnected) input.checked = element.getAttribute('aria-selected') === 'true';
      });
      return;
    }
    if (!event.target.closest('a')) setCurrent(element.dataset.id);
  };
  const onScroll = (event) => {
    const top = event.target.scrollTop;
    // The focused element may be reused for another row.
    if (box.current !== document.activeElement && box.current.contains(document.activeElement))
      box.current.focus({ preventScroll: true });
    const fast = speed.current.isFast(top, view.height, event.timeStamp);
    setView((previous) => ({ ...previous, top, moving: true, fast }));
    clearTimeout(restTimer.current);
    restTimer.current = setTimeout(() => {
      setView((previous) => ({ ...previous, moving: false, fast: false }));
      moved({ moving: false });
    }, REST);
    moved({ top: top < ROW, moving: true });
  };
  const { shown, template, minWidth } = fitColumns(columns, view.width, chosen);
  const columnsKey = shown.map((each) => each.id).join();
  const stable = useRef({ key: '', shown, main: new Set() });
  if (stable.current.key !== columnsKey)
    stable.current = {
      key: columnsKey,
      shown,
      main: new Set(shown.filter((each, i) => each.rank <= 1 || i === 0)),
    };
  const visibleRows = rows.slice(from, to);
  const placed = recycler.current.assign(
    visibleRows.map((row, i) => row?.uuid ?? `gap ${from + i}`),
    view.moving,
  );
  const gapTexts = describeGaps(rows, from, visibleRows, sort, isOpenEnded);
  const isLoaded = current !== null && rows.where.has(current);
  const onAll = () => onSelect(selection.size ? new Set() : new Set(rows.ids()));
  return html`
    <div
      class=${`grid${view.width < 560 ? ' tight' : ''}`}
      ref=${box}
      tabindex="0"
      role="grid"
      aria-label=${T.tasks.grid}
      aria-rowcount=${(total ?? count) + 1}
      aria-multiselectable="true"
      aria-busy=${busy ? 'true' : 'false'}
      aria-activedescendant=${isLoaded ? `row-${current}` : null}
      style=${{ '--cols': template }}
      onScroll=${onScroll}
      onClick=${onClick}
      onKeyDown=${onKeyDown}
      onPointerEnter=${(e) => {
        if (e.pointerType === 'mouse') moved({ pointer: true });
      }}
      onPointerLeave=${() => moved({ pointer: false })}
    >
      <div role="rowgroup" class="g-head" style=${{ minWidth: `${minWidth}px` }}>
        <${HeaderRow}
          columns=${shown}
          sort=${sort}
          onSort=${onSort}
          selection=${selection}
          rows=${rows}
          onAll=${onAll}
        />
      </div>
      <div
        role="rowgroup"
        class="g-body"
        style=${{ height: `${count * ROW}px`, minWidth: `${minWidth}px` }}
      >
        ${placed.map(
          ({ key, at }) => html`
            <${Row}
              key=${key}
              row=${visibleRows[at]}
              index=${from + at}
              on=${selection.has(visibleRows[at]?.uuid)}
              current=${visibleRows[at] && current === visibleRows[at].uuid}
              columns=${stable.current.shown}
              only=${view.fast ? stable.current.main : null}
              fresh=${fresh.has(visibleRows[at]?.uuid)}
              gap=${gapTexts[at]}
            />
          `,
        )}
      </div>
    </div>
  `;
}

/** Placeholder rows while the first page loads. */
export const GridSkeleton = () => html`
  <div class="g-skel" aria-hidden="true">
    ${[34, 52, 41, 60, 38, 47, 55, 33].map(
      (width, i) => html`
        <div style=${{ opacity: 1 - i * 0.12 }}>
          <div class="skel" style=${{ width: `${width}%` }}></div>
        </div>
      `,
    )}
  </div>
`;
