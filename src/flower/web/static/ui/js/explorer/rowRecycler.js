// Assigns rows to DOM elements. While the table is scrolled, the elements of rows that leave are reused for
// rows that appear, at half the cost of new elements. This mixes up the order of the elements, so they are
// put in order at rest, for screen readers and printing.

export class RowRecycler {
  #shown = /** @type {{key: number, id: string}[]} */ ([]);
  #lastKey = 0;

  /**
   * The rows by element, in the order of the elements.
   * @param {string[]} ids from top to bottom
   * @param {boolean} moving
   * @returns {{key: number, at: number}[]} at: index in `ids`
   */
  assign(ids, moving) {
    const at = new Map(ids.map((id, i) => [id, i]));
    const keys = new Map(this.#shown.map(({ key, id }) => [id, key]));
    if (moving) {
      const incoming = ids.filter((id) => !keys.has(id)).reverse();
      const reused = this.#shown.flatMap(({ key, id }) =>
        at.has(id)
          ? [{ key, id }]
          : incoming.length
            ? [{ key, id: /** @type {string} */ (incoming.pop()) }]
            : [],
      );
      this.#shown = [...reused, ...incoming.reverse().map((id) => ({ key: this.#nextKey(), id }))];
    } else {
      this.#shown = ids.map((id) => ({ key: keys.get(id) ?? this.#nextKey(), id }));
    }
    return this.#shown.map(({ key, id }) => ({
      key,
      at: /** @type {number} */ (at.get(id)),
    }));
  }

  #nextKey() {
    this.#lastKey += 1;
    return this.#lastKey;
  }
}
