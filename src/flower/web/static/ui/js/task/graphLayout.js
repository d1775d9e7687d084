// Lays out the tasks of a workflow as a tree.

export const BOX = { width: 152, height: 44, gapX: 14, gapY: 32 };

/**
 * @typedef {{x: number, y: number}} Position the middle of a box
 * @typedef {{positions: Map<string, Position>, edges: [string, string][], width: number, height: number}}
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
  const positions = new Map();
  let column = 0;
  let deepest = 0;
  // Iterative, because a chain of ten thousand tasks is too deep for recursion: each task is visited
  // before and after its children.
  const stack = roots.reverse().map((uuid) => ({ uuid, depth: 0, after: false }));
  while (stack.length) {
    const visit = /** @type {any} */ (stack.pop());
    const children = childrenOf.get(visit.uuid) ?? [];
    const y = BOX.height / 2 + visit.depth * (BOX.height + BOX.gapY);
    deepest = Math.max(deepest, visit.depth);
    if (!children.length) {
      positions.set(visit.uuid, { x: BOX.width / 2 + column * (BOX.width + BOX.gapX), y });
      column += 1;
      continue;
    }
    if (visit.after) {
      const xs = children.map((uuid) => positions.get(uuid).x);
      positions.set(visit.uuid, { x: (Math.min(...xs) + Math.max(...xs)) / 2, y });
      continue;
    }
    stack.push({ ...visit, after: true });
    for (const uuid of [...children].reverse())
      stack.push({ uuid, depth: visit.depth + 1, after: false });
  }
  return {
    positions,
    edges,
    width: Math.max(1, column) * (BOX.width + BOX.gapX) - BOX.gapX,
    height: (deepest + 1) * (BOX.height + BOX.gapY) - BOX.gapY,
  };
}
