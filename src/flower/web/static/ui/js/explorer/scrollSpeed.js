/** Maximum milliseconds between two steps of one movement. */
const MAX_STEP_INTERVAL = 80;
/** Consecutive steps of more than half a screen that count as fast scrolling. */
const MIN_FAST_STEPS = 3;

/** Detects scrolling that is too fast to read; the table then renders fewer cells. */
export class ScrollSpeed {
  #top = 0;
  #time = 0;
  #steps = 0;

  /**
   * @param {number} top scroll position
   * @param {number} height visible height
   * @param {number} time milliseconds
   */
  isFast(top, height, time) {
    const isFar = Math.abs(top - this.#top) > height / 2 && time - this.#time < MAX_STEP_INTERVAL;
    this.#steps = isFar ? this.#steps + 1 : 0;
    this.#top = top;
    this.#time = time;
    return this.#steps >= MIN_FAST_STEPS;
  }
}
