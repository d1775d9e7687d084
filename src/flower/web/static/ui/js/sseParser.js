// Server-sent events over fetch: unlike EventSource it tells the status of a refusal and takes
// headers. Without a DOM, so that it can be tested on text alone.

/**
 * Feeds text, gives events: `{event, data, id}` for each, null for a comment; the server's wish for
 * the pause in `retry`.
 */
export class SseParser {
  constructor() {
    this.rest = '';
    this.retry = 0;
  }

  /** @param {string} text @returns {({event: string, data: string, id: string} | null)[]} */
  push(text) {
    const blocks = (this.rest + text).replace(/\r\n?/g, '\n').split('\n\n');
    this.rest = blocks.pop() ?? '';
    return blocks.map((block) => this.#event(block)).filter((each) => each !== undefined);
  }

  #event(block) {
    const found = { event: 'message', data: /** @type {string[]} */ ([]), id: '' };
    let comment = false;
    for (const line of block.split('\n')) {
      const at = line.indexOf(':');
      const [field, value] =
        at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, '')];
      if (at === 0) comment = true;
      else if (field === 'data') found.data.push(value);
      else if (field === 'event') found.event = value;
      else if (field === 'id') found.id = value;
      else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
    }
    if (!found.data.length) return comment ? null : undefined;
    return { event: found.event, data: found.data.join('\n'), id: found.id };
  }
}
