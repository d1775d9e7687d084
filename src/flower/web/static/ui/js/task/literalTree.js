// The trees in which the API gives Python literals (`values` of a task): every leaf has its text, so that
// 20.0 stays 20.0.

/**
 * @typedef {{kind: string, text?: string, value?: string, items?: {key?: Node, value: Node}[]}} Node
 *   kind: dict, list, tuple, set (with items), string (with its decoded value), bytes, number,
 *   constant or object
 */

const BRACKETS = { dict: '{}', list: '[]', tuple: '()', set: 'set()' };

/** The text of an empty container. @param {Node} node */
export const emptyText = (node) => BRACKETS[node.kind] ?? '';

/** A key as text: a string without quotes. @param {Node} node */
export const keyText = (node) => node.value ?? node.text ?? '…';

/**
 * The literal as JSON, numbers as they are written; null if JSON cannot represent it.
 * @param {Node | null | undefined} node
 * @returns {string | null}
 */
export function toJson(node) {
  if (!node) return null;
  switch (node.kind) {
    case 'string':
      return JSON.stringify(node.value);
    case 'number':
      return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]?\d+)?$/i.test(node.text ?? '')
        ? (node.text ?? null)
        : null;
    case 'constant':
      return { None: 'null', True: 'true', False: 'false' }[node.text ?? ''] ?? null;
    case 'list':
    case 'tuple':
      return join('[]', node, ({ value }) => toJson(value));
    case 'dict':
      return join('{}', node, ({ key, value }) => {
        const [name, content] = [key?.kind === 'string' ? toJson(key) : null, toJson(value)];
        return name === null || content === null ? null : `${name}: ${content}`;
      });
    default:
      return null;
  }
}

function join(brackets, node, toText) {
  const parts = node.items.map(toText);
  return parts.includes(null) ? null : `${brackets[0]}${parts.join(', ')}${brackets[1]}`;
}
