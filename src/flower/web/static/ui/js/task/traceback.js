// The exception of a task: type, message and frames. Library frames are folded, the last frame of the
// application is highlighted.

import { get } from '../api.js';
import { exceptionParts, line, visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import { searchAddress } from '../router.js';
import * as T from '../strings.js';
import { CopyButton, Segmented } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { useResource } from '../useResource.js';
import { splitRuns } from './attempts.js';
import { CollapsedText } from './payload.js';
import { groupLibraryFrames, parseTraceback, shortPath } from './stackFrames.js';

const KEYWORDS = new Set(
  (
    'raise from return import def class if else elif for in while with as try except finally ' +
    'lambda None True False not and or is await async yield self'
  ).split(' '),
);

/** Highlights a line of Python. @param {string} source */
export function highlight(source) {
  const parts = visible(source).split(
    /([A-Za-z_]\w*|[rbf]*"(?:[^"\\]|\\.)*"|[rbf]*'(?:[^'\\]|\\.)*'|\d+(?:\.\d+)?)/,
  );
  return parts.map((text, i) => {
    if (i % 2 === 0) return text;
    if (/["']$/.test(text)) return html`<span class="tok-s">${text}</span>`;
    if (/^\d/.test(text)) return html`<span class="tok-n">${text}</span>`;
    if (KEYWORDS.has(text)) return html`<span class="tok-k">${text}</span>`;
    return parts[i + 1]?.startsWith('(') ? html`<span class="tok-f">${text}</span>` : text;
  });
}

const FrameView = ({ frame, last }) => html`
  <div class=${`fr${last ? ' last' : ''}${frame.library ? ' of-lib' : ''}`}>
    <div class="loc" title=${visible(frame.file)}>
      <b>
        ${line(
          frame.library
            ? frame.file.split(/site-packages[\\/]|dist-packages[\\/]/).pop()
            : shortPath(frame.file),
          200,
        )}
      </b>
      :${frame.line}
      ${
        frame.name &&
        html`
          ${' '}
          in <b>${line(frame.name, 120)}</b>
        `
      }
    </div>
    ${frame.source.length > 0 && html`<div class="src">${highlight(frame.source.join('\n'))}</div>`}
  </div>
`;

function Frames({ raised, final }) {
  const [open, setOpen] = useState(/** @type {Set<number>} */ (new Set()));
  const ownFrames = raised.frames.filter((frame) => !frame.library);
  const last = final ? ownFrames[ownFrames.length - 1] : null;
  return groupLibraryFrames(raised.frames).map((each, i) => {
    if (!each.folded) return html`<${FrameView} frame=${each} last=${each === last} />`;
    const packages = [...new Set(each.folded.map((frame) => frame.library))].join(', ');
    const shown = open.has(i);
    const toggle = () => {
      const next = new Set(open);
      if (shown) next.delete(i);
      else next.add(i);
      setOpen(next);
    };
    return html`
      <button
        type="button"
        class="fr lib"
        aria-expanded=${shown ? 'true' : 'false'}
        onClick=${toggle}
      >
        <${Icon} name=${shown ? 'down' : 'right'} />
        ${T.task.frames(each.folded.length)}
        <span class="mono">${line(packages, 80)}</span>
      </button>
      ${shown && each.folded.map((frame) => html`<${FrameView} frame=${frame} last=${false} />`)}
    `;
  });
}

/** Link to all failures of the same group, with their number. */
function SimilarFailures({ failure }) {
  const count = useResource(
    (signal) => get('count', { query: `failure:${failure}` }, { signal }),
    [failure],
  );
  return html`
    <a class="link" href=${searchAddress(`failure:${failure}`)}>
      ${count.data ? T.task.occurrences(count.data.count) : T.task.failureGroup}
    </a>
  `;
}

/** @param {{task: any}} props */
export function Failure({ task }) {
  const attempts = splitRuns(task).current;
  const withText = attempts.filter((each) => each.traceback || each.exception);
  const [ordinal, setOrdinal] = useState(/** @type {number | null} */ (null));
  const [asText, setAsText] = useState(false);
  const chosen =
    withText.find((each) => each.ordinal === ordinal) ?? withText[withText.length - 1] ?? null;
  const { exception, traceback } = chosen ?? task;
  if (!exception && !traceback && !withText.length) return null;
  const all = parseTraceback(traceback);
  const out = all[all.length - 1];
  const [type, message] = out?.type ? [out.type, out.message] : exceptionParts(exception);
  return html`
    <section class="panel" aria-label=${T.task.exception}>
      <div class="exc-h">
        ${
          chosen &&
          attempts.length > 1 &&
          html`<h2>${T.task.attemptFailed(chosen.ordinal, attempts.length)}</h2>`
        }
        <div class="exc-l">
          <span class=${`ty${(chosen?.state ?? task.state) === 'RETRY' ? ' warn' : ''}`}>
            ${line(type || T.task.exception, 200)}
          </span>
          <span class="sp"></span>
          ${
            withText.length > 1 &&
            html`
              <${Segmented}
                label=${T.task.facts.attempts}
                items=${withText
                  .slice(-6)
                  .map((each) => [String(each.ordinal), T.task.attempt(each.ordinal)])}
                value=${String(chosen?.ordinal)}
                onPick=${(each) => setOrdinal(Number(each))}
              />
            `
          }
          ${task.failure && html`<${SimilarFailures} failure=${task.failure} />`}
          ${
            traceback &&
            html`
              <button type="button" class="link small" onClick=${() => setAsText(!asText)}>
                ${asText ? T.task.asFrames : T.task.asText}
              </button>
              <${CopyButton} text=${traceback} what=${T.task.traceback.toLowerCase()} />
            `
          }
        </div>
        <div class="ms">
          ${visible(message.slice(0, 2000))}
          ${message.length > 2000 ? '…' : ''}
        </div>
      </div>
      ${
        traceback &&
        html`
          <div class="tb">
            ${
              asText || !all.length
                ? html`<${CollapsedText} text=${traceback} />`
                : all.map(
                    (raised, i) => html`
                      ${
                        i > 0 &&
                        html`<div class="fr link-line">${T.task.exceptionLinks[raised.link || 'during']}</div>`
                      }
                      ${
                        all.length > 1 &&
                        raised !== out &&
                        html`
                          <div class="fr before">
                            <b>${line(raised.type, 120)}</b> ${line(raised.message, 300)}
                          </div>
                        `
                      }
                      <${Frames}
                        raised=${raised}
                        final=${
                          raised === out ||
                          (out &&
                            !out.frames.some((frame) => !frame.library) &&
                            i === all.length - 2)
                        }
                      />
                    `,
                  )
            }
          </div>
        `
      }
    </section>
  `;
}
