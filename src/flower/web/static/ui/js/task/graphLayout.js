// Lays out the tasks of a workflow as a tree.

export const BOX = { width: 152, height: 44, gapX: 14, gapY: 32 };

/**
 * @typedef {{x: number, y: number}} Place the middle of a box
 * @typedef {{places: Map<string, Place>, edges: [string, string][], width: number, height: number}}
 *   Drawing
 */

/**
 * @param {any[]} nodes of `GET /tasks/{uuid}/workflow`; parents precede their children
 * @returns {Drawing}
 */
export function layoutTree(nodes) {
  const known = new Set(nodes.map((node) => node.uuid));
  const childrenOf = new Map(nodes.map((node) => [node.uuid, /** @type {string[]} */ ([])]));
  const roots = [];
  const edges = /** @type {[string, string][]} */ ([]);
  for (const node of nodes) {
    if (node.parent && known.has(node.parent) && node.parent !== node.uuid) {
      childrenOf.get(node.parent)?.push(node.uuid);
      edges.push([node.parent, node.uuid]);
    } else roots.push(node.uuid);
  }
  const places = new Map();
  let column = 0;
  let deepest = 0;
  // Iterative, because a chain of ten thousand tasks is too deep for recursion: each task is visited
  // before and after its children.
  const stack = roots.reverse().map((uuid) => ({ uuid, depth: 0, after: false }));
  while (stack.length) {
    const now = /** @type {any} */ (stack.pop());
    const children = childrenOf.get(now.uuid) ?? [];
    const y = BOX.height / 2 + now.depth * (BOX.height + BOX.gapY);
    deepest = Math.max(deepest, now.depth);
    if (!children.length) {
      places.set(now.uuid, { x: BOX.width / 2 + column * (BOX.width + BOX.gapX), y });
      column += 1;
      continue;
    }
    if (now.after) {
      const xs = children.map((uuid) => places.get(uuid).x);
      places.set(now.uuid, { x: (Math.min(...xs) + Math.max(...xs)) / 2, y });
      continue;
    }
    stack.push({ ...now, after: true });
    for (const uuid of [...children].reverse())
      stack.push({ uuid, depth: now.depth + 1, after: false });
  }
  return {
    places,
    edges,
    width: Math.max(1, column) * (BOX.width + BOX.gapX) - BOX.gapX,
    height: (deepest + 1) * (BOX.height + BOX.gapY) - BOX.gapY,
  };
}
