// Segments of a query for syntax highlighting, from the tokens that the server finds in it.

/**
 * @typedef {{start: number, end: number, kind: string, field?: string, negated?: boolean}} Token
 *   kind: field, value, text, operator or parenthesis; positions count UTF-16 code units
 * @typedef {{text: string, token: Token | null, start: number}} Segment token null: space, or text
 *   that the server has not seen yet
 */

/**
 * The tokens of a response with positions in UTF-16 code units; the server counts characters.
 * @param {string} text
 * @param {Token[]} tokens
 * @returns {Token[]}
 */
export function convertPositions(text, tokens) {
  const offsets = [0];
  for (const character of text) offsets.push(offsets[offsets.length - 1] + character.length);
  return tokens.map((token) => ({
    ...token,
    start: offsets[token.start],
    end: offsets[token.end],
  }));
}

/**
 * The tokens of a text after an edit, until the server has seen it: those before and after the edit
 * stay, and a token grows with what is typed at its end.
 * @param {string} before
 * @param {Token[]} tokens of `before`
 * @param {string} after
 * @returns {Token[]}
 */
export function carryTokens(before, tokens, after) {
  if (before === after) return tokens;
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const grown = after.length - before.length;
  const inserted = after.slice(head, after.length - tail);
  const isWord = !/[\s()]/.test(inserted);
  const kept = [];
  for (const token of tokens) {
    if (token.end < head) kept.push(token);
    else if (token.end === head)
      kept.push(isWord ? { ...token, end: head + inserted.length } : token);
    else if (token.start >= before.length - tail)
      kept.push({ ...token, start: token.start + grown, end: token.end + grown });
  }
  return kept;
}

/**
 * The whole text in segments, each with its token.
 * @param {string} text
 * @param {Token[]} tokens in order
 * @returns {Segment[]}
 */
export function segments(text, tokens) {
  const out = /** @type {Segment[]} */ ([]);
  let at = 0;
  const push = (end, token) => {
    if (end > at) out.push({ text: text.slice(at, end), token, start: at });
    at = Math.max(at, end);
  };
  for (const token of tokens) {
    push(token.start, null);
    push(Math.min(token.end, text.length), token);
  }
  push(text.length, null);
  return out;
}
