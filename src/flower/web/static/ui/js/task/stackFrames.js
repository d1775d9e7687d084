// Parses Python tracebacks into frames.

/**
 * @typedef {{file: string, line: number, name: string, source: string[], library: string | null}}
 *   Frame
 * @typedef {{frames: Frame[], type: string, message: string, link: '' | 'cause' | 'during'}} Raised
 * library: the package of a library frame, null for application code. link: relation to the previous
 * exception.
 */

const FRAME = /^\s*File "(.*)", line (\d+)(?:, in (.*))?$/;
const LIBRARY = /[\\/](?:site-packages|dist-packages)[\\/]([^\\/]+?)(?:\.py)?(?:[\\/]|$)/;
const STANDARD = new RegExp(
  [
    /[\\/]lib(?:64)?[\\/]python\d[\d.]*[\\/](?!site-packages|dist-packages)([^\\/]+?)(?:\.py)?(?:[\\/]|$)/,
    /^<frozen ([\w.]+)>$/,
  ]
    .map((each) => each.source)
    .join('|'),
);
const CARET_LINE = /^\s*[\^~]+\s*$/;

/** @param {string} file @returns {string | null} */
export function libraryOf(file) {
  const match = LIBRARY.exec(file) ?? STANDARD.exec(file);
  return match ? (match[1] ?? match[2]) : null;
}

/** The last parts of the path. @param {string} file */
export const shortPath = (file) => file.replace(/^.*[\\/](?=(?:[^\\/]+[\\/]){1,2}[^\\/]+$)/, '');

/**
 * @param {string | null | undefined} text
 * @returns {Raised[]} in the order of the text, the raised exception last; [] if the text is no
 *   traceback
 */
export function parseTraceback(text) {
  const out = [];
  let frames = /** @type {any} */ (null);
  let link = '';
  let tail = /** @type {string[]} */ ([]);
  const close = () => {
    if (!frames) return;
    while (tail.length && !tail[tail.length - 1].trim()) tail.pop();
    const all = tail.join('\n');
    const match = /^([\w.]+)(?::\s?([\s\S]*))?$/.exec(all);
    out.push({
      frames,
      type: match ? match[1] : '',
      message: match ? (match[2] ?? '') : all,
      link,
    });
    frames = null;
    tail = [];
  };
  for (const line of (text ?? '').split(/\r?\n/)) {
    const frame = FRAME.exec(line);
    if (/^Traceback \(most recent call last\)/.test(line)) {
      close();
      frames = [];
      continue;
    }
    if (/^The above exception was the direct cause/.test(line)) {
      close();
      link = 'cause';
      continue;
    }
    if (/^During handling of the above exception/.test(line)) {
      close();
      link = 'during';
      continue;
    }
    if (!frames) continue;
    if (frame) {
      frames.push({
        file: frame[1],
        line: Number(frame[2]),
        name: frame[3] ?? '',
        source: [],
        library: libraryOf(frame[1]),
      });
      tail = [];
    } else if (/^\s{3,}/.test(line) && frames.length && !tail.length) {
      if (!CARET_LINE.test(line)) frames[frames.length - 1].source.push(line.trim());
    } else if (line.trim() || tail.length) tail.push(line);
  }
  close();
  return out.filter((each) => each.frames.length || each.type);
}

/**
 * Groups consecutive library frames: a frame, or `{folded: Frame[]}`.
 * @param {Frame[]} frames
 */
export function groupLibraryFrames(frames) {
  const out = /** @type {any[]} */ ([]);
  for (const frame of frames) {
    const last = out[out.length - 1];
    if (!frame.library) out.push(frame);
    else if (last?.folded) last.folded.push(frame);
    else out.push({ folded: [frame] });
  }
  return out;
}
