// The query as text: what its parts are, for colours, and how a facet writes itself into it. The
// server reads it for real.

/**
 * @typedef {{start: number, end: number, kind: 'term' | 'word' | 'operator' | 'group' | 'space',
 *   text: string, negated: boolean, field: string, sign: string, value: string, depth: number}}
 *   Token
 */

const TERM =
  /(-?)([A-Za-z_]+(?:\.(?:"(?:[^"\\]|\\.)*"?|[^\s:()".]+))*):(>=|<=|[=<>])?((?:"(?:[^"\\]|\\.)*"?|[^\s"()])*)/y;
const WORD = /-?(?:"(?:[^"\\]|\\.)*"?|[^\s()"])+/y;
const ALIASES = {
  hostname: 'worker',
  type: 'name',
  id: 'uuid',
  root: 'root_id',
  parent: 'parent_id',
};

/** @param {string} text @returns {Token[]} every character is in one of them */
export function tokens(text) {
  const out = [];
  let depth = 0;
  let at = 0;
  const add = (end, kind, more = {}) => {
    out.push({
      start: at,
      end,
      kind,
      text: text.slice(at, end),
      negated: false,
      field: '',
      sign: '',
      value: '',
      depth,
      ...more,
    });
    at = end;
  };
  while (at < text.length) {
    const space = /\s+/y;
    space.lastIndex = at;
    if (space.test(text)) {
      add(space.lastIndex, 'space');
      continue;
    }
    if ('()'.includes(text[at])) {
      if (text[at] === ')') depth = Math.max(0, depth - 1);
      add(at + 1, 'group');
      if (out[out.length - 1].text === '(') depth += 1;
      continue;
    }
    if (text[at] === '-' && text[at + 1] === '(') {
      add(at + 1, 'operator');
      continue;
    }
    TERM.lastIndex = at;
    const term = TERM.exec(text);
    if (term) {
      const field = term[2].toLowerCase();
      add(TERM.lastIndex, 'term', {
        negated: term[1] === '-',
        field: ALIASES[field] ?? field,
        sign: term[3] ?? '',
        value: term[4],
      });
      continue;
    }
    WORD.lastIndex = at;
    const word = WORD.exec(text);
    const end = word ? WORD.lastIndex : at + 1;
    const said = text.slice(at, end);
    add(end, ['AND', 'OR', 'NOT'].includes(said) ? 'operator' : 'word', {
      negated: said.startsWith('-') && said.length > 1,
    });
  }
  return out;
}

/** The values of a list: `a,"b c"` is `['a', 'b c']`. @param {string} list */
export function values(list) {
  const found = list.match(/(?:"(?:[^"\\]|\\.)*"?|[^,"])+/g) ?? [];
  return found.map((each) =>
    each.startsWith('"')
      ? each
          .slice(1, each.endsWith('"') && each.length > 1 ? -1 : undefined)
          .replace(/\\(["\\])/g, '$1')
      : each,
  );
}

/** A value as the language takes it. @param {string} value */
export const quoted = (value) =>
  /^[\w.@#/+-]+$/.test(value) && !/^[-+]/.test(value)
    ? value
    : `"${value.replace(/(["\\])/g, '\\$1')}"`;

/** States are compared whole anyway; of the others a facet means exactly this value. */
const signOf = (field) => (field === 'state' ? '' : '=');

/** @param {Token[]} all @param {string} field */
function termOf(all, field) {
  if (all.some((each) => each.kind === 'operator' && each.text === 'OR' && each.depth === 0))
    return undefined;
  return all.find(
    (each, i) =>
      each.kind === 'term' &&
      each.depth === 0 &&
      !each.negated &&
      each.field === field &&
      each.sign === signOf(field) &&
      !['NOT', '-'].includes(lastWord(all, i)),
  );
}

function lastWord(all, i) {
  for (let at = i - 1; at >= 0; at -= 1) if (all[at].kind !== 'space') return all[at].text;
  return '';
}

/** The term that finds what has no value there. @param {string} field */
const missing = (field) => `-has:${field}`;

/**
 * What is chosen of a facet in this query; null stands for "has none".
 * @param {string} text
 * @param {string} field
 * @returns {(string | null)[]}
 */
export function chosen(text, field) {
  const all = tokens(text);
  const none = all.some((each) => each.depth === 0 && each.text.toLowerCase() === missing(field));
  const term = termOf(all, field);
  return [...(term ? values(term.value) : []), ...(none ? [null] : [])];
}

const tidy = (text) => text.replace(/\s{2,}/g, ' ').trim();

/** The query with this facet's term gone. @param {string} text @param {string} field */
export function without(text, field) {
  const all = tokens(text);
  const term = termOf(all, field);
  const none = all.find((each) => each.depth === 0 && each.text.toLowerCase() === missing(field));
  const kept = all
    .filter((each) => each !== term && each !== none)
    .map((each) => each.text)
    .join('');
  return tidy(kept);
}

/**
 * The query with one value of a facet more, or fewer.
 * @param {string} text
 * @param {string} field
 * @param {string | null} value
 */
export function toggle(text, field, value) {
  const now = chosen(text, field);
  const rest = without(text, field);
  if (value === null) return now.includes(null) ? rest : add(rest, missing(field));
  const next = (
    now.includes(value) ? now.filter((each) => each !== value) : [...now, value]
  ).filter((each) => each !== null);
  return next.length
    ? add(rest, `${field}:${signOf(field)}${next.map((each) => quoted(String(each))).join(',')}`)
    : rest;
}

/**
 * The query and this term. OR binds weaker than AND, so what has one at its top gets parentheses.
 * @param {string} text
 * @param {string} term
 */
export function add(text, term) {
  const loose = tokens(text).some(
    (each) => each.kind === 'operator' && each.text === 'OR' && each.depth === 0,
  );
  return tidy(`${loose ? `(${text})` : text} ${term}`);
}
