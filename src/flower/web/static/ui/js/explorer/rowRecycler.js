// Which element of the page shows which row. While the table is scrolled, rows that leave lend
// their elements to rows that come, which costs half of making new ones. That mixes up their order
// in the page, so at rest it is put right: who reads the page aloud, or prints it, goes by it.

export class RowRecycler {
  #shown = /** @type {{key: number, id: string}[]} */ ([]);
  #made = 0;

  /**
   * Where these rows go, in the order of the page.
   * @param {string[]} ids from top to bottom
   * @param {boolean} moving
   * @returns {{key: number, at: number}[]} at: the place in `ids`
   */
  assign(ids, moving) {
    const at = new Map(ids.map((id, i) => [id, i]));
    const keys = new Map(this.#shown.map(({ key, id }) => [id, key]));
    if (moving) {
      const coming = ids.filter((id) => !keys.has(id)).reverse();
      const kept = this.#shown.flatMap(({ key, id }) =>
        at.has(id)
          ? [{ key, id }]
          : coming.length
            ? [{ key, id: /** @type {string} */ (coming.pop()) }]
            : [],
      );
      this.#shown = [...kept, ...coming.reverse().map((id) => ({ key: this.#nextKey(), id }))];
    } else {
      this.#shown = ids.map((id) => ({ key: keys.get(id) ?? this.#nextKey(), id }));
    }
    return this.#shown.map(({ key, id }) => ({
      key,
      at: /** @type {number} */ (at.get(id)),
    }));
  }

  #nextKey() {
    this.#made += 1;
    return this.#made;
  }
}
