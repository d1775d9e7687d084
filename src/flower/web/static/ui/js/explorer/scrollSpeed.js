/** Milliseconds between two steps that belong to one movement. */
const MAX_STEP_INTERVAL = 80;
/** Steps of more than half a screen after which nobody reads any more. */
const MIN_FAST_STEPS = 3;

/** Whether a table is scrolled faster than anyone can read: then it need not show all. */
export class ScrollSpeed {
  #top = 0;
  #time = 0;
  #steps = 0;

  /**
   * @param {number} top where it is scrolled to
   * @param {number} height of what is seen
   * @param {number} time milliseconds
   */
  isFast(top, height, time) {
    const far = Math.abs(top - this.#top) > height / 2 && time - this.#time < MAX_STEP_INTERVAL;
    this.#steps = far ? this.#steps + 1 : 0;
    this.#top = top;
    this.#time = time;
    return this.#steps >= MIN_FAST_STEPS;
  }
}
