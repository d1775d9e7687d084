// Parser of text/event-stream for use with fetch, which unlike EventSource gives the status of a failed
// request and sends headers. Has no DOM, so it is tested on text.

/**
 * `push` takes a chunk of text and returns its events `{event, data, id}`, null for a comment. `retry`
 * is the reconnection delay that the server requested, in milliseconds.
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
    const event = { event: 'message', data: /** @type {string[]} */ ([]), id: '' };
    let isComment = false;
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      const [field, value] =
        colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
      if (colon === 0) isComment = true;
      else if (field === 'data') event.data.push(value);
      else if (field === 'event') event.event = value;
      else if (field === 'id') event.id = value;
      else if (field === 'retry' && /^\d+$/.test(value)) this.retry = Number(value);
    }
    if (!event.data.length) return isComment ? null : undefined;
    return { event: event.event, data: event.data.join('\n'), id: event.id };
  }
}
