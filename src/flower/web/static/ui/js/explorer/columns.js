// The columns of the tasks table: required API columns, width, cell.

import { duration, int } from '../format/numbers.js';
import { exceptionParts, line } from '../format/text.js';
import { html } from '../lib.js';
import { encodeSegment, href } from '../router.js';
import * as T from '../strings.js';
import {
  isRunning,
  RowTime,
  stateClass,
  TaskName,
  TaskState,
  WorkerLink,
} from '../ui/components.js';
import { sortField } from './rows.js';

/**
 * @typedef {{id: string, label: string, width: string, minWidth: number, rank: number, needs:
 *   string[], right?: boolean, sort?: string, cls?: string, cell: (row: any) => any}} Column
 * minWidth: pixels; rank: columns with a higher rank are hidden first in narrow windows
 */

const muted = html`<span class="muted">–</span>`;

function summary(row) {
  if (row.exception && ['FAILURE', 'RETRY'].includes(row.state)) {
    const [type, message] = exceptionParts(row.exception);
    return html`
      <span class=${`exc ${stateClass(row.state)}`} title=${line(row.exception, 1000)}>
        <b>${line(type.split('.').pop() ?? '', 80)}</b>
        ${type && message ? ': ' : ''}
        ${line(message)}
      </span>
    `;
  }
  return html`<span class="args mono">${line(formatCall(row), 240) || muted}</span>`;
}

/** The arguments as text; '' if the task has none. */
export function formatCall(row) {
  const args = row.args && row.args !== '()' && row.args !== '[]' ? row.args : '';
  const kwargs = row.kwargs && row.kwargs !== '{}' ? row.kwargs : '';
  return [args, kwargs].filter(Boolean).join(' ');
}

function runtime(row) {
  const seconds = row.runtime;
  if (seconds == null) return muted;
  const width = Math.min(100, Math.max(4, (Math.log10(Math.max(seconds, 0.001)) + 3) * 20));
  return html`
    <span
      class=${`dur${seconds > 10 ? ' slow' : ''}`}
      title=${row.runtime_derived ? T.tasks.runtimeDerived : null}
      style=${{ backgroundSize: `${width.toFixed(0)}% 2px` }}
    >
      ${duration(seconds)}
    </span>
  `;
}

/** @param {string} id @param {Partial<Column>} more @returns {Column} */
const column = (id, more) => ({
  id,
  label: T.tasks.column[id] ?? id,
  width: '110px',
  minWidth: 90,
  rank: 5,
  needs: [id],
  cell: (row) => line(row[id] ?? '') || muted,
  cls: 'sm',
  ...more,
});

/** @param {string} id @param {string} [sort] */
const time = (id, sort) =>
  column(id, {
    width: '112px',
    minWidth: 108,
    rank: 4,
    right: true,
    sort,
    cls: 'time',
    cell: (row) => html`<${RowTime} at=${row[id]} />`,
  });
const text = (id) => column(id, { width: 'minmax(120px,1fr)', minWidth: 130, cls: 'args mono' });
const durationColumn = (id) =>
  column(id, {
    width: '78px',
    minWidth: 76,
    rank: 3,
    right: true,
    sort: id,
    cls: 'num',
    cell: (row) => (row[id] == null ? muted : duration(row[id])),
  });
const integer = (id) =>
  column(id, {
    width: '70px',
    minWidth: 64,
    right: true,
    cls: 'num',
    cell: (row) => (row[id] == null ? muted : int(row[id])),
  });
const link = (id, short) =>
  column(id, {
    width: short ? '84px' : '276px',
    minWidth: short ? 84 : 150,
    cls: 'mono',
    cell: (row) =>
      row[id]
        ? html`
          <a href=${href(`task/${encodeSegment(row[id])}`)} tabindex="-1">
            ${line(short ? row[id].slice(0, 8) : row[id], 80)}
          </a>
        `
        : muted,
  });

/** @type {Column[]} */
const ALL = [
  column('state', {
    width: '112px',
    minWidth: 30,
    rank: 0,
    sort: 'state',
    needs: ['state', 'lost', 'double_run'],
    cell: (row) => html`
      <${TaskState} state=${row.state} lost=${row.lost} twice=${row.double_run && isRunning(row)} />
    `,
  }),
  column('name', {
    width: 'minmax(150px,1fr)',
    minWidth: 150,
    rank: 0,
    sort: 'name',
    cls: 'nm',
    cell: (row) => html`
      <a
        href=${href(`task/${encodeSegment(row.uuid)}`)}
        tabindex="-1"
        title=${line(row.name ?? '', 500)}
      >
        <${TaskName} name=${row.name} />
      </a>
    `,
  }),
  column('summary', {
    width: 'minmax(150px,1.45fr)',
    minWidth: 190,
    rank: 2,
    needs: ['exception', 'args', 'kwargs', 'state'],
    cls: '',
    cell: summary,
  }),
  { ...link('uuid', false), sort: 'uuid' },
  column('queue', { width: '88px', minWidth: 88, rank: 5, sort: 'queue' }),
  column('worker', {
    width: '104px',
    minWidth: 100,
    rank: 4,
    sort: 'worker',
    cell: (row) => html`<${WorkerLink} name=${row.worker} short />`,
  }),
  column('runtime', {
    width: '78px',
    minWidth: 78,
    rank: 3,
    right: true,
    sort: 'runtime',
    needs: ['runtime', 'runtime_derived'],
    cls: '',
    cell: runtime,
  }),
  durationColumn('wait'),
  { ...durationColumn('backoff'), sort: undefined },
  { ...time('time_at', 'time'), rank: 1 },
  time('received_at', 'received'),
  time('sent_at', 'sent'),
  time('started_at', 'started'),
  ...['succeeded_at', 'failed_at', 'retried_at', 'revoked_at', 'rejected_at'].map((id) => time(id)),
  time('ended_at', 'ended'),
  time('last_event_at', 'timestamp'),
  ...['args', 'kwargs', 'result', 'exception'].map(text),
  integer('retries'),
  integer('priority'),
  integer('pid'),
  ...['client', 'exchange', 'routing_key', 'eta', 'expires', 'failure'].map((id) => column(id, {})),
  link('root_id', true),
  link('parent_id', true),
];

export const COLUMNS = new Map(ALL.map((each) => [each.id, each]));

/** A column of a keyword argument: `kwargs.customer.id`. @param {string} id @returns {Column} */
const keyColumn = (id) =>
  column(id, {
    label: id.slice('kwargs.'.length),
    width: 'minmax(90px,.6fr)',
    minWidth: 100,
    cls: 'args mono',
    cell: (row) => (row.extracted?.[id] == null ? muted : line(row.extracted[id])),
  });

/** Columns by the names that the search language and Flower's option tasks_columns use. */
const byName = (id) =>
  COLUMNS.get(id) ?? COLUMNS.get(id === 'timestamp' ? 'last_event_at' : `${id}_at`);

/** @param {string[]} ids unknown ones are ignored @returns {Column[]} */
export const findColumns = (ids) =>
  /** @type {Column[]} */ (
    ids.map((id) => (/^kwargs\.\S+$/.test(id) ? keyColumn(id) : byName(id))).filter(Boolean)
  );

/** The columns to request from the API. @param {Column[]} columns @param {string} sort */
export const apiColumns = (columns, sort) => [
  ...new Set([
    'uuid',
    'name',
    'state',
    'time_at',
    ...columns.flatMap((each) => each.needs),
    ...(sort.replace('-', '') === 'written' ? [] : [sortField(sort)]),
  ]),
];

/** Characters of a text to request: what a cell and its tooltip show. */
export const TEXT_LIMIT = 1024;

/** The columns of an exported file. @param {Column[]} columns */
export const exportColumns = (columns) => [
  ...new Set(
    ['uuid', ...columns.flatMap((each) => each.needs)].filter((id) => id !== 'double_run'),
  ),
];

/**
 * Those that have room, and the template of the grid.
 * @param {Column[]} columns
 * @param {number} room
 * @param {boolean} chosen chosen columns are never hidden
 * @returns {{shown: Column[], template: string, minWidth: number}}
 */
export function fitColumns(columns, room, chosen) {
  const shown = [...columns];
  const width = () => shown.reduce((sum, each) => sum + each.minWidth + 14, 60);
  while (!chosen && shown.length > 2 && width() > room) {
    const last = shown.reduce((a, b) => (b.rank >= a.rank ? b : a));
    if (!last.rank) break;
    shown.splice(shown.indexOf(last), 1);
  }
  const tight = room < 560;
  const widths = shown.map((each) => (tight && each.id === 'state' ? '18px' : each.width));
  return { shown, template: ['15px', ...widths].join(' '), minWidth: chosen ? width() : 0 };
}
