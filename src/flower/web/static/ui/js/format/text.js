// Formats text from outside (names, arguments, errors): invisible characters are written as escapes,
// long text is split.

/** Characters that are invisible or change the direction of text. */
const INVISIBLE = new RegExp(
  [
    '[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u180e\\u200b-\\u200f]',
    '[\\u2028\\u2029\\u202a-\\u202e\\u2060-\\u2069\\ufeff]',
    '[\\ud800-\\udbff](?![\\udc00-\\udfff])',
    '(?<![\\ud800-\\udbff])[\\udc00-\\udfff]',
  ].join('|'),
  'g',
);

const escaped = (c) => {
  const code = c.charCodeAt(0);
  return code < 256
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** The text with invisible characters escaped. @param {unknown} text */
export const visible = (text) => String(text ?? '').replace(INVISIBLE, escaped);

/**
 * One line for a table cell.
 * @param {unknown} text
 * @param {number} maxLength
 */
export function line(text, maxLength = 300) {
  const all = String(text ?? '');
  const shown = all.length > maxLength ? `${all.slice(0, maxLength)}…` : all;
  return visible(shown.replace(/\s*[\r\n\t]+\s*/g, ' '));
}

/** Module and function of a task's name: `['shop.orders.', 'charge']`. @param {string} name */
export function nameParts(name) {
  const split = name.lastIndexOf('.') + 1;
  return [visible(name.slice(0, split)), visible(name.slice(split))];
}

/**
 * Type and message of an exception as Celery writes it: `ValueError('card declined')`.
 * @param {string | null} text
 */
export function exceptionParts(text) {
  if (!text) return ['', ''];
  const call = /^([\w.]+)\(([\s\S]*?),?\)$/.exec(text);
  if (!call) return [/^[\w.]+$/.test(text) ? text : '', /^[\w.]+$/.test(text) ? '' : text];
  const argument = /^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")$/.exec(call[2]);
  const message = argument ? (argument[1] ?? argument[2]).replace(/\\(['"\\])/g, '$1') : call[2];
  return [call[1], message];
}
