// The panel of recorded gaps on the settings page.

import { get } from '../api.js';
import { denialReason } from '../currentUser.js';
import { line } from '../format/text.js';
import { span } from '../format/time.js';
import { readGap, gaps as recordedGaps } from '../gaps.js';
import { html, useEffect, useRef, useState } from '../lib.js';
import { status } from '../liveStream.js';
import * as T from '../strings.js';
import { Time } from '../ui/components.js';
import { DismissButton, restoreGap } from '../ui/gapNote.js';
import { ErrorPanel, Panel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const G = T.gaps;
/** Number of gaps that are listed, newest first. */
const MAX_GAPS = 200;

/** @param {{show: boolean}} props show: scroll to the panel */
export function GapsPanel({ show }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (show) box.current?.scrollIntoView();
  }, [show]);
  const [withDismissed, setWithDismissed] = useState(false);
  const all = useResource(
    (signal) => get('gaps', { dismissed: 'any', limit: MAX_GAPS }, { signal }),
    [recordedGaps.value],
    { skip: !withDismissed },
  );
  const rows = (withDismissed && all.data?.gaps) || (status.value?.gaps ?? []);
  return html`
    <div ref=${box}>
      <${Panel}
        title=${G.title}
        end=${html`
          <button
            type="button"
            class="btn quiet"
            aria-pressed=${withDismissed ? 'true' : 'false'}
            onClick=${() => setWithDismissed(!withDismissed)}
          >
            ${G.showDismissed}
          </button>
        `}
      >
        <p class="pad muted small">${G.text}</p>
        ${withDismissed && all.problem && html`<${ErrorPanel} problem=${all.problem} onRetry=${all.reload} />`}
        ${
          rows.length
            ? html`<${GapTable} rows=${rows} reload=${all.reload} />`
            : html`<p class="pad muted">${G.none}</p>`
        }
      </${Panel}>
    </div>
  `;
}

function GapTable({ rows, reload }) {
  const why = denialReason('tasks');
  const now = Date.now() / 1000;
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label=${G.title}>
      <table class="t">
        <thead>
          <tr>
            <th>${G.columns.from}</th>
            <th>${G.columns.to}</th>
            <th class="right">${G.columns.duration}</th>
            <th>${G.columns.cause}</th>
            <th>${G.columns.worker}</th>
            <th></th>
          </tr>
        </thead>
        <tbody>
          ${rows
            .toSorted((a, b) => b.started_at - a.started_at)
            .map((row) => {
              const gap = readGap(row);
              return html`
                <tr class=${row.dismissed_at == null ? '' : 'muted'}>
                  <td>
                    <${Time} at=${gap.from} natural=${false} />
                  </td>
                  <td>
                    ${gap.isOpen ? T.time.now : html`<${Time} at=${gap.to} natural=${false} />`}
                  </td>
                  <td class="right num">${span(Math.min(gap.to, now) - gap.from)}</td>
                  <td>${line(gap.reason, 300)}</td>
                  <td>${gap.worker ? line(gap.worker, 80) : G.allWorkers}</td>
                  <td class="right">
                    ${
                      row.dismissed_at == null
                        ? html`<${DismissButton} gap=${gap} done=${reload} />`
                        : html`
                          <button
                            type="button"
                            class="btn quiet"
                            disabled=${!!why}
                            title=${why || G.dismissedBy(line(row.dismissed_by || T.anonymous, 60))}
                            onClick=${() => restoreGap(gap, reload)}
                          >
                            ${G.restore}
                          </button>
                        `
                    }
                  </td>
                </tr>
              `;
            })}
        </tbody>
      </table>
    </div>
  `;
}
