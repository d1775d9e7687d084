// The rows of the tasks table: pages of plain objects, outside of signals. At most MAX_ROWS rows are in
// memory; distant pages are dropped and loaded again by their cursor.

export const MAX_ROWS = 20_000;
/** Maximum number of new rows that wait to be shown; if there are more, the list is loaded again. */
export const MAX_PENDING = 1000;

/** @typedef {{cursor: string, rows: any[] | null, count: number}} RowPage */

/** The fields of the sort keys by which rows are compared here. */
const SORT_FIELDS = {
  time: 'time_at',
  ended: 'ended_at',
  received: 'received_at',
  started: 'started_at',
  sent: 'sent_at',
  timestamp: 'last_event_at',
  runtime: 'runtime',
  wait: 'wait',
};

/** The field of a row that a sort key stands for. @param {string} sort */
export const sortField = (sort) => {
  const key = sort.replace(/^-/, '');
  return SORT_FIELDS[key] ?? key;
};

/**
 * Compares rows as the API sorts them: tasks without a value last.
 * @param {string} sort
 * @returns {((a: any, b: any) => number) | null} null: only the server can sort by this key
 */
export function comparator(sort) {
  if (!(sort.replace(/^-/, '') in SORT_FIELDS)) return null;
  const key = sortField(sort);
  const sign = sort.startsWith('-') ? -1 : 1;
  return (a, b) => {
    if (a[key] == null || b[key] == null)
      return (a[key] == null ? 1 : 0) - (b[key] == null ? 1 : 0);
    return sign * (a[key] - b[key]);
  };
}

export class Rows {
  /** @param {string} sort */
  constructor(sort = '-time') {
    this.compare = comparator(sort);
    /** @type {RowPage[]} */
    this.pages = [];
    /** @type {Map<string, RowPage>} */
    this.where = new Map();
    /** The cursor of the next page; null after the last one. @type {string | null} */
    this.next = '';
    /** New rows that wait while the table must not move. @type {Map<string, any>} */
    this.pending = new Map();
    /** Whether more rows arrived than can wait. */
    this.overflowing = false;
    /** Number of new matching tasks that the stream left out. */
    this.unsent = 0;
    /** Rows that no longer match, shown until the table may move. @type {Set<string>} */
    this.leaving = new Set();
    /** Rows whose place in the order has changed, moved when the table may move. @type {Set<string>} */
    this.misplaced = new Set();
    this.total = 0;
    /** Number of rows inserted since the list was loaded. */
    this.arrived = 0;
  }

  /** @param {any[]} tasks @param {string | null} next */
  append(tasks, next) {
    const fresh = tasks.filter((task) => !this.where.has(task.uuid));
    const page = { cursor: this.next ?? '', rows: fresh, count: fresh.length };
    for (const task of fresh) {
      this.where.set(task.uuid, page);
      this.pending.delete(task.uuid);
    }
    this.pages.push(page);
    this.total += fresh.length;
    this.next = next;
  }

  /**
   * The rows from `from` to before `to`; undefined where a page was dropped.
   * @param {number} from
   * @param {number} to
   * @returns {any[]}
   */
  slice(from, to) {
    const out = [];
    let first = 0;
    for (const page of this.pages) {
      if (first >= to) break;
      if (first + page.count > from) {
        for (let i = Math.max(from, first); i < Math.min(to, first + page.count); i += 1)
          out.push(page.rows?.[i - first]);
      }
      first += page.count;
    }
    return out;
  }

  /** @param {number} at */
  at(at) {
    return this.slice(at, at + 1)[0];
  }

  /** @param {string} uuid @returns {any} */
  get(uuid) {
    return this.where.get(uuid)?.rows?.find((row) => row.uuid === uuid);
  }

  /** The index of a task, or -1. @param {string} uuid */
  indexOf(uuid) {
    const page = this.where.get(uuid);
    if (!page?.rows) return -1;
    let first = 0;
    for (const each of this.pages) {
      if (each === page) break;
      first += each.count;
    }
    const at = page.rows.findIndex((row) => row.uuid === uuid);
    return at < 0 ? -1 : first + at;
  }

  /** The ids of all rows in memory. */
  ids() {
    return this.pages.flatMap((page) => (page.rows ?? []).map((row) => row.uuid));
  }

  /**
   * The dropped pages in a range of indexes.
   * @param {number} from
   * @param {number} to
   * @returns {RowPage[]}
   */
  droppedPages(from, to) {
    const out = [];
    let first = 0;
    for (const page of this.pages) {
      if (!page.rows && first < to && first + page.count > from) out.push(page);
      first += page.count;
    }
    return out;
  }

  /**
   * Fills a dropped page with rows that were loaded again; its length stays, so that nothing moves.
   * @param {RowPage} page
   * @param {any[]} tasks
   */
  refill(page, tasks) {
    const fresh = tasks.filter((task) => !this.where.has(task.uuid)).slice(0, page.count);
    for (const task of fresh) this.where.set(task.uuid, page);
    this.total += fresh.length - page.count;
    page.rows = fresh;
    page.count = fresh.length;
  }

  /**
   * Drops the pages farthest from a range of indexes if more than `limit` rows are in memory.
   * @param {number} from
   * @param {number} to
   * @param {number} limit
   */
  dropDistantPages(from, to, limit = MAX_ROWS) {
    let inMemory = this.pages.reduce((sum, page) => sum + (page.rows?.length ?? 0), 0);
    if (inMemory <= limit) return;
    let first = 0;
    const candidates = this.pages
      .map((page) => {
        const middle = first + page.count / 2;
        first += page.count;
        return { page, distance: Math.abs(middle - (from + to) / 2) };
      })
      .filter(({ page }, i) => page.rows && i > 0)
      .sort((a, b) => b.distance - a.distance);
    for (const { page } of candidates) {
      if (inMemory <= limit) return;
      inMemory -= page.rows?.length ?? 0;
      for (const row of page.rows ?? []) this.where.delete(row.uuid);
      page.rows = null;
    }
  }

  /**
   * Applies a batch of the stream: known rows are replaced, and moved if their place in the order has
   * changed (a retried task is received again); new ones are inserted in order, or kept for later if
   * `hold`.
   * @param {{tasks: any[], removed: string[], more?: number}} batch
   * @param {boolean} hold the table must not move
   * @returns {string[]} the ids of the inserted rows
   */
  apply({ tasks, removed, more = 0 }, hold) {
    const fresh = [];
    this.unsent += more;
    for (const task of tasks) {
      if (this.where.has(task.uuid)) this.#update(task, hold);
      else if (hold || !this.compare) this.#defer(task);
      else if (this.#insert(task)) fresh.push(task.uuid);
    }
    for (const uuid of removed) {
      this.pending.delete(uuid);
      if (!hold) this.#remove(uuid);
      else this.#markGone(uuid);
    }
    return fresh;
  }

  #defer(task) {
    if (this.pending.size < MAX_PENDING || this.pending.has(task.uuid))
      this.pending.set(task.uuid, task);
    else this.overflowing = true;
  }

  /** Number of rows that wait to be shown; a minimum if `overflowing`. */
  get pendingCount() {
    return this.pending.size + this.unsent + this.misplaced.size;
  }

  /** Whether the waiting rows can be inserted without a request. */
  get canApplyPending() {
    return !!this.compare && !this.unsent && !this.overflowing;
  }

  /** Inserts the waiting rows. @returns {string[]} their ids */
  applyPending() {
    const all = [...this.pending.values()];
    this.pending.clear();
    for (const uuid of this.leaving) if (this.get(uuid)?.gone) this.#remove(uuid);
    this.leaving.clear();
    for (const uuid of this.misplaced) this.#move(this.get(uuid));
    this.misplaced.clear();
    return all.filter((task) => this.#insert(task)).map((task) => task.uuid);
  }

  #update(task, hold) {
    const before = this.get(task.uuid);
    const moves = before && this.compare && this.compare(before, task) !== 0;
    this.#replace(task);
    if (!moves) return;
    if (hold) this.misplaced.add(task.uuid);
    else this.#move(task);
  }

  #move(task) {
    if (!task) return;
    this.#remove(task.uuid);
    if (this.#insert(task)) this.arrived -= 1;
  }

  #replace(task) {
    const page = this.where.get(task.uuid);
    const at = page?.rows?.findIndex((row) => row.uuid === task.uuid) ?? -1;
    if (page?.rows && at >= 0) page.rows[at] = task;
  }

  #markGone(uuid) {
    const row = this.get(uuid);
    if (!row) return;
    this.#replace({ ...row, gone: true });
    this.leaving.add(uuid);
  }

  #remove(uuid) {
    const page = this.where.get(uuid);
    if (!page?.rows) return;
    this.misplaced.delete(uuid);
    page.rows = page.rows.filter((row) => row.uuid !== uuid);
    page.count = page.rows.length;
    this.total -= 1;
    this.where.delete(uuid);
  }

  /** Inserts a row if it belongs between loaded ones; rows after these are loaded on scrolling. */
  #insert(task) {
    if (!this.compare) return false;
    if (!this.pages.length) this.pages.push({ cursor: '', rows: [], count: 0 });
    for (const page of this.pages) {
      if (!page.rows) continue;
      const last = page.rows[page.rows.length - 1];
      const isEnd = page === this.pages[this.pages.length - 1];
      if (last && this.compare(task, last) > 0 && !(isEnd && this.next === null)) continue;
      if (!last && !isEnd) continue;
      const { compare } = this;
      const at = page.rows.findIndex((row) => compare(task, row) <= 0);
      page.rows.splice(at < 0 ? page.rows.length : at, 0, task);
      page.count += 1;
      this.total += 1;
      this.arrived += 1;
      this.where.set(task.uuid, page);
      return true;
    }
    return false;
  }
}
