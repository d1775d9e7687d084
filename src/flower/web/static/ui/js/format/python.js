// Python values as their text has them: a tree whose leaves are pieces of that text, so that 20.0
// stays 20.0. Nothing is evaluated. What is no value that we can read (Celery cuts long texts)
// gives null, and is shown as text.

/**
 * @typedef {{kind: 'dict' | 'list' | 'tuple' | 'set' | 'text' | 'number' | 'word' | 'object', text:
 *   string, items?: {key: Node | null, value: Node}[]}} Node
 */

const DEEPEST = 100;
const STRING = /(?:[rbuf]|br|rb)?(?:'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*")/iy;
const NUMBER =
  /[-+]?(?:0[xob][\da-f]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:e[-+]?\d+)?j?)(?![\w.])|[-+]?(?:inf|nan)\b/iy;
const NAME = /[A-Za-z_][\w.]*/y;

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  space() {
    while (/\s/.test(this.text[this.at] ?? '')) this.at += 1;
  }

  has(sign) {
    this.space();
    if (!this.text.startsWith(sign, this.at)) return false;
    this.at += sign.length;
    return true;
  }

  match(expression) {
    expression.lastIndex = this.at;
    const found = expression.exec(this.text);
    if (!found) return null;
    this.at = expression.lastIndex;
    return found[0];
  }

  /** @returns {Node} */
  value(depth) {
    if (depth > DEEPEST) throw new SyntaxError('too deep');
    this.space();
    const start = this.at;
    const sign = this.text[start];
    // where Celery left something out
    if (this.has('...')) return { kind: 'object', text: '...' };
    if (sign === '[') return this.sequence('list', ']', depth);
    if (sign === '(') return this.sequence('tuple', ')', depth);
    if (sign === '{') return this.braces(depth);
    if (sign === '<') return this.object(start);
    const string = this.match(STRING);
    if (string !== null) return { kind: 'text', text: string };
    const number = this.match(NUMBER);
    if (number !== null) return { kind: 'number', text: number };
    if (this.match(NAME) === null) throw new SyntaxError('no value');
    // Decimal('9.50'), datetime.date(2026, 1, 2): shown as they are written
    if (this.text[this.at] === '(') {
      this.skipCall(depth);
      return { kind: 'object', text: this.text.slice(start, this.at) };
    }
    return { kind: 'word', text: this.text.slice(start, this.at) };
  }

  /** @returns {Node} */
  sequence(kind, end, depth) {
    const start = this.at;
    this.at += 1;
    const items = [];
    while (!this.has(end)) {
      items.push({ key: null, value: this.value(depth + 1) });
      if (!this.has(',')) {
        if (!this.has(end)) throw new SyntaxError('cut');
        break;
      }
    }
    return { kind, items, text: this.text.slice(start, this.at) };
  }

  /** @returns {Node} */
  braces(depth) {
    const start = this.at;
    this.at += 1;
    const items = [];
    let kind = /** @type {'dict' | 'set'} */ ('dict');
    while (!this.has('}')) {
      const first = this.value(depth + 1);
      if (this.has(':')) items.push({ key: first, value: this.value(depth + 1) });
      else {
        kind = 'set';
        items.push({ key: null, value: first });
      }
      if (!this.has(',')) {
        if (!this.has('}')) throw new SyntaxError('cut');
        break;
      }
    }
    return { kind, items, text: this.text.slice(start, this.at) };
  }

  /** `<Order: 17>`: angle brackets may be nested. @returns {Node} */
  object(start) {
    let open = 0;
    do {
      const sign = this.text[this.at];
      if (sign === undefined) throw new SyntaxError('cut');
      open += sign === '<' ? 1 : sign === '>' ? -1 : 0;
      this.at += 1;
    } while (open > 0);
    return { kind: 'object', text: this.text.slice(start, this.at) };
  }

  skipCall(depth) {
    this.at += 1;
    while (!this.has(')')) {
      const before = this.at;
      if (this.match(/[A-Za-z_]\w*=/y) === null) this.at = before;
      this.value(depth + 1);
      if (!this.has(',')) {
        if (!this.has(')')) throw new SyntaxError('cut');
        break;
      }
    }
  }
}

/** @param {string | null | undefined} text @returns {Node | null} */
export function parse(text) {
  if (text == null || text.length > 1_000_000) return null;
  const reader = new Reader(text);
  try {
    const found = reader.value(0);
    reader.space();
    return reader.at === text.length ? found : null;
  } catch {
    return null;
  }
}

/** What a string literal says, for keys; other nodes are their text. @param {Node | null} node */
export function plain(node) {
  if (!node) return '';
  if (node.kind !== 'text') return node.text;
  const open = node.text.search(/['"]/);
  return node.text.slice(open + 1, -1).replace(/\\(['"\\])/g, '$1');
}

/**
 * The value below these keys: `customer.id`, `items.0.sku`; null if there is none.
 * @param {Node | null} node
 * @param {string[]} path
 * @returns {Node | null}
 */
export function below(node, path) {
  let here = node;
  for (const key of path) {
    if (!here?.items) return null;
    const found =
      here.kind === 'dict'
        ? here.items.find((each) => plain(each.key) === key)
        : here.items[Number(key)];
    here = found?.value ?? null;
  }
  return here;
}

const ESCAPES = {
  n: '\n',
  t: '\t',
  r: '\r',
  0: '\0',
  a: '\x07',
  b: '\b',
  f: '\f',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '\n': '',
};

/** What a string literal means; null for bytes. @param {string} literal */
function unescaped(literal) {
  const open = literal.search(/['"]/);
  const prefix = literal.slice(0, open).toLowerCase();
  if (prefix.includes('b')) return null;
  const body = literal.slice(open + 1, -1);
  if (prefix.includes('r')) return body;
  return body.replace(/\\(x[\da-f]{2}|u[\da-f]{4}|U[\da-f]{8}|[\s\S])/gi, (all, code) =>
    code.length > 1 ? String.fromCodePoint(parseInt(code.slice(1), 16)) : (ESCAPES[code] ?? all),
  );
}

/**
 * The value as JSON, numbers as they are written; null where JSON has no such thing.
 * @param {Node | null} node
 * @returns {string | null}
 */
export function toJson(node) {
  if (!node) return null;
  if (node.kind === 'text') {
    const text = unescaped(node.text);
    return text === null ? null : JSON.stringify(text);
  }
  if (node.kind === 'number')
    return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[-+]?\d+)?$/i.test(node.text) ? node.text : null;
  if (node.kind === 'word')
    return { None: 'null', True: 'true', False: 'false' }[node.text] ?? null;
  if (!node.items || node.kind === 'set') return null;
  const parts = node.items.map((each) => {
    const value = toJson(each.value);
    if (node.kind !== 'dict') return value;
    const key = each.key?.kind === 'text' ? toJson(each.key) : null;
    return key === null || value === null ? null : `${key}: ${value}`;
  });
  if (parts.includes(null)) return null;
  return node.kind === 'dict' ? `{${parts.join(', ')}}` : `[${parts.join(', ')}]`;
}
