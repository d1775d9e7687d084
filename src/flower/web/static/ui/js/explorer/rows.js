// The rows of the explorer: pages of plain objects, outside the signals. DOM-less, so that it can
// be tested on its own. At most HELD rows are in memory; far pages are dropped and fetched again by
// their cursor.

export const MAX_ROWS = 20_000;
/**
 * Rows that are kept back at most, until they may be shown: what comes beyond is read from the
 * server then.
 */
export const MAX_PENDING = 1000;

/** @typedef {{cursor: string, rows: any[] | null, count: number}} RowPage */

const NUMERIC_SORT_KEYS = new Set(['received', 'started', 'sent', 'timestamp', 'runtime', 'wait']);

/**
 * By the value of this key as the API sorts it: tasks without it last.
 * @param {string} sort
 * @returns {((a: any, b: any) => number) | null} null: only the server knows
 */
export function comparator(sort) {
  const key = sort.replace(/^-/, '');
  if (!NUMERIC_SORT_KEYS.has(key)) return null;
  const sign = sort.startsWith('-') ? -1 : 1;
  return (a, b) => {
    if (a[key] == null || b[key] == null)
      return (a[key] == null ? 1 : 0) - (b[key] == null ? 1 : 0);
    return sign * (a[key] - b[key]);
  };
}

export class Rows {
  /** @param {string} sort */
  constructor(sort = '-received') {
    this.compare = comparator(sort);
    /** @type {RowPage[]} */
    this.pages = [];
    /** @type {Map<string, RowPage>} */
    this.where = new Map();
    /** The cursor of the next page; null: there is none. @type {string | null} */
    this.next = '';
    /** What came while nothing may move. @type {Map<string, any>} */
    this.held = new Map();
    /** More came than is kept back. */
    this.overflowing = false;
    /** Matching tasks that came and that the stream did not send. */
    this.unsent = 0;
    /** Rows that match no longer, and stand until something may move. @type {Set<string>} */
    this.leaving = new Set();
    this.total = 0;
    /** Rows that came in since they were read. */
    this.arrived = 0;
  }

  /** @param {any[]} tasks @param {string | null} next */
  append(tasks, next) {
    const fresh = tasks.filter((task) => !this.where.has(task.uuid));
    const page = { cursor: this.next ?? '', rows: fresh, count: fresh.length };
    for (const task of fresh) {
      this.where.set(task.uuid, page);
      this.held.delete(task.uuid);
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

  /** The place of a task, or -1. @param {string} uuid */
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

  /** All ids that are held in memory. */
  ids() {
    return this.pages.flatMap((page) => (page.rows ?? []).map((row) => row.uuid));
  }

  /**
   * Pages between these places that were dropped.
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
   * A dropped page, read again. Its length stays, so that nothing moves.
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
   * Forget pages that are far from these places, if too much is held.
   * @param {number} from
   * @param {number} to
   * @param {number} most
   */
  dropDistantPages(from, to, most = MAX_ROWS) {
    let inMemory = this.pages.reduce((sum, page) => sum + (page.rows?.length ?? 0), 0);
    if (inMemory <= most) return;
    let first = 0;
    const far = this.pages
      .map((page) => {
        const middle = first + page.count / 2;
        first += page.count;
        return { page, away: Math.abs(middle - (from + to) / 2) };
      })
      .filter(({ page }, i) => page.rows && i > 0)
      .sort((a, b) => b.away - a.away);
    for (const { page } of far) {
      if (inMemory <= most) return;
      inMemory -= page.rows?.length ?? 0;
      for (const row of page.rows ?? []) this.where.delete(row.uuid);
      page.rows = null;
    }
  }

  /**
   * What the stream says. Rows that are here change where they stand; new ones are put in by their
   * order, or kept back while `hold` says that nothing may move. Gives the ids of new rows.
   * @param {{tasks: any[], gone: string[], more?: number}} batch
   * @param {boolean} hold
   * @returns {string[]}
   */
  apply({ tasks, gone, more = 0 }, hold) {
    const fresh = [];
    this.unsent += more;
    for (const task of tasks) {
      if (this.where.has(task.uuid)) this.#replace(task);
      else if (hold || !this.compare) this.#keep(task);
      else if (this.#insert(task)) fresh.push(task.uuid);
    }
    for (const uuid of gone) {
      this.held.delete(uuid);
      if (!hold) this.#remove(uuid);
      else this.#markGone(uuid);
    }
    return fresh;
  }

  #keep(task) {
    if (this.held.size < MAX_PENDING || this.held.has(task.uuid)) this.held.set(task.uuid, task);
    else this.overflowing = true;
  }

  /** How many wait to be shown; at least, if there are more than can be kept. */
  get pendingCount() {
    return this.held.size + this.unsent;
  }

  /** Whether what waits can be put in without asking the server. */
  get canApplyPending() {
    return !!this.compare && !this.unsent && !this.overflowing;
  }

  /** Put in what was kept back. @returns {string[]} */
  applyPending() {
    const all = [...this.held.values()];
    this.held.clear();
    for (const uuid of this.leaving) if (this.get(uuid)?.gone) this.#remove(uuid);
    this.leaving.clear();
    return all.filter((task) => this.#insert(task)).map((task) => task.uuid);
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
    page.rows = page.rows.filter((row) => row.uuid !== uuid);
    page.count = page.rows.length;
    this.total -= 1;
    this.where.delete(uuid);
  }

  /**
   * Whether it has a place among what is loaded; what comes after it is read when it is scrolled
   * to.
   */
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
