// The columns of the explorer: what each needs of the API, how wide it is, what it shows.

import { duration, int } from '../format/numbers.js';
import { below, parse } from '../format/python.js';
import { exceptionParts, line } from '../format/text.js';
import { html } from '../lib.js';
import { encodeSegment, href } from '../router.js';
import { T } from '../strings.js';
import { RowTime, stateClass, TaskName, TaskState, WorkerLink } from '../ui/components.js';

/**
 * @typedef {{id: string, label: string, width: string, least: number, rank: number, needs:
 *   string[], right?: boolean, sort?: string, cls?: string, cell: (row: any) => any}} Column
 * least: pixels; rank: the higher, the sooner it goes where there is little room
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

/** Arguments as they would be written in a call; nothing for none. */
export function formatCall(row) {
  const args = row.args && row.args !== '()' && row.args !== '[]' ? row.args : '';
  const kwargs = row.kwargs && row.kwargs !== '{}' ? row.kwargs : '';
  return [args, kwargs].filter(Boolean).join(' ');
}

function runtime(row) {
  const s = row.runtime;
  if (s == null) return muted;
  const width = Math.min(100, Math.max(4, (Math.log10(Math.max(s, 0.001)) + 3) * 20));
  return html`
    <span
      class=${`dur${s > 10 ? ' slow' : ''}`}
      style=${{ backgroundSize: `${width.toFixed(0)}% 2px` }}
    >
      ${duration(s)}
    </span>
  `;
}

/** @param {string} id @param {Partial<Column>} more @returns {Column} */
const column = (id, more) => ({
  id,
  label: T.tasks.column[id] ?? id,
  width: '110px',
  least: 90,
  rank: 5,
  needs: [id],
  cell: (row) => line(row[id] ?? '') || muted,
  cls: 'sm',
  ...more,
});

const time = (id) =>
  column(id, {
    width: '112px',
    least: 108,
    rank: 4,
    right: true,
    sort: ['received', 'started', 'sent', 'timestamp'].includes(id) ? id : undefined,
    cls: 'time',
    cell: (row) => html`<${RowTime} at=${row[id]} />`,
  });
const text = (id) => column(id, { width: 'minmax(120px,1fr)', least: 130, cls: 'args mono' });
const length = (id) =>
  column(id, {
    width: '78px',
    least: 76,
    rank: 3,
    right: true,
    sort: id,
    cls: 'num',
    cell: (row) => (row[id] == null ? muted : duration(row[id])),
  });
const whole = (id) =>
  column(id, {
    width: '70px',
    least: 64,
    right: true,
    cls: 'num',
    cell: (row) => (row[id] == null ? muted : int(row[id])),
  });
const link = (id, short) =>
  column(id, {
    width: short ? '84px' : '276px',
    least: short ? 84 : 150,
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
    width: '92px',
    least: 30,
    rank: 0,
    sort: 'state',
    cell: (row) => html`<${TaskState} s=${row.state} />`,
  }),
  column('name', {
    width: 'minmax(150px,1fr)',
    least: 150,
    rank: 0,
    sort: 'name',
    cls: 'nm',
    cell: (row) => html`
      <a
        href=${href(`task/${encodeSegment(row.uuid)}`)}
        tabindex="-1"
        title=${line(row.name ?? '', 500)}
      >
        <${TaskName} n=${row.name} />
      </a>
    `,
  }),
  column('summary', {
    width: 'minmax(150px,1.45fr)',
    least: 190,
    rank: 2,
    needs: ['exception', 'args', 'kwargs', 'state'],
    cls: '',
    cell: summary,
  }),
  { ...link('uuid', false), sort: 'uuid' },
  column('queue', { width: '88px', least: 88, rank: 5, sort: 'queue' }),
  column('worker', {
    width: '104px',
    least: 100,
    rank: 4,
    sort: 'worker',
    cell: (row) => html`<${WorkerLink} name=${row.worker} short />`,
  }),
  column('runtime', {
    width: '78px',
    least: 78,
    rank: 3,
    right: true,
    sort: 'runtime',
    cls: '',
    cell: runtime,
  }),
  length('wait'),
  { ...time('received'), rank: 1 },
  ...['sent', 'started', 'succeeded', 'failed', 'retried', 'revoked', 'rejected', 'timestamp'].map(
    time,
  ),
  ...['args', 'kwargs', 'result', 'exception'].map(text),
  whole('retries'),
  whole('priority'),
  whole('pid'),
  ...['client', 'exchange', 'routing_key', 'eta', 'expires', 'failure'].map((id) => column(id, {})),
  link('root_id', true),
  link('parent_id', true),
];

export const COLUMNS = new Map(ALL.map((each) => [each.id, each]));

/** A column of a keyword argument: `kwargs.customer.id`. @param {string} id @returns {Column} */
function keyColumn(id) {
  const path = id.slice('kwargs.'.length).split('.');
  return column(id, {
    label: path.join('.'),
    width: 'minmax(90px,.6fr)',
    least: 100,
    needs: ['kwargs'],
    cls: 'args mono',
    cell: (row) => {
      const found = below(parse(row.kwargs), path);
      return found ? line(found.text) : muted;
    },
  });
}

/** @param {string[]} ids those that mean nothing are left out @returns {Column[]} */
export const findColumns = (ids) =>
  /** @type {Column[]} */ (
    ids.map((id) => (/^kwargs\.\S+$/.test(id) ? keyColumn(id) : COLUMNS.get(id))).filter(Boolean)
  );

/** What to ask the API for. @param {Column[]} columns @param {string} sort */
export const apiColumns = (columns, sort) =>
  [
    ...new Set([
      'uuid',
      'name',
      'state',
      'received',
      ...columns.flatMap((each) => each.needs),
      sort.replace('-', ''),
    ]),
  ].filter((each) => each !== 'written');

/**
 * How many characters of a text to ask for: what a cell and its title show, or what a key may have
 * to be looked for in.
 * @param {Column[]} columns
 */
export const textLimit = (columns) =>
  columns.some((each) => each.id.startsWith('kwargs.')) ? 65536 : 1024;

/** What a file of these columns has. @param {Column[]} columns */
export const exportColumns = (columns) => [
  ...new Set([
    'uuid',
    ...columns.flatMap((each) => (each.id.startsWith('kwargs.') ? [each.id] : each.needs)),
  ]),
];

/**
 * Those that have room, and the template of the grid.
 * @param {Column[]} columns
 * @param {number} room
 * @param {boolean} chosen then none is left out
 * @returns {{shown: Column[], template: string, least: number}}
 */
export function fitColumns(columns, room, chosen) {
  const shown = [...columns];
  const least = () => shown.reduce((sum, each) => sum + each.least + 14, 60);
  while (!chosen && shown.length > 2 && least() > room) {
    const last = shown.reduce((a, b) => (b.rank >= a.rank ? b : a));
    if (!last.rank) break;
    shown.splice(shown.indexOf(last), 1);
  }
  const tight = room < 560;
  const widths = shown.map((each) => (tight && each.id === 'state' ? '18px' : each.width));
  return { shown, template: ['15px', ...widths].join(' '), least: chosen ? least() : 0 };
}
