// Collects the batches of the stream: they are applied together before the next frame, and while the table is scrolled
// only after it has come to rest, so that no frame of the movement is late.

/** Maximum milliseconds that batches wait while the table is scrolled. */
const MAX_WAIT = 1000;

export class BatchQueue {
  /** @param {(batches: any[]) => void} apply */
  constructor(apply) {
    this.apply = apply;
    this.batches = /** @type {any[]} */ ([]);
    this.isMoving = false;
    this.frame = 0;
    this.timer = 0;
  }

  /** @param {any} batch */
  push(batch) {
    this.batches.push(batch);
    this.#schedule();
  }

  /** @param {boolean} isMoving whether the table is scrolled */
  setMoving(isMoving) {
    if (this.isMoving === isMoving) return;
    this.isMoving = isMoving;
    if (this.batches.length) this.#schedule();
  }

  /** Drops all batches, for example because the rows are loaded again. */
  clear() {
    this.batches = [];
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.frame = this.timer = 0;
  }

  #schedule() {
    if (this.isMoving) {
      this.timer ||= setTimeout(() => this.#flush(), MAX_WAIT);
    } else {
      this.frame ||= requestAnimationFrame(() => this.#flush());
    }
  }

  #flush() {
    const { batches } = this;
    this.clear();
    if (batches.length) this.apply(batches);
  }
}
