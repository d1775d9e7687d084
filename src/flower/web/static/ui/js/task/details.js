// Panels with the details of a task: delivery, re-runs, events, and the earlier runs with its id.

import { duration, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { clock, full } from '../format/time.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
import { TaskLink, Time } from '../ui/components.js';
import { Panel } from '../ui/panels.js';
import { listEvents, splitRuns } from './attempts.js';
import { Timeline } from './timeline.js';

export function Delivery({ task }) {
  const rows = [
    'routing_key',
    'exchange',
    'priority',
    'eta',
    'expires',
    'client',
    'pid',
    'clock',
  ].filter((key) => task[key] != null && task[key] !== '');
  const links = ['parent_id', 'root_id'].filter((key) => task[key] && task[key] !== task.uuid);
  if (!rows.length && !links.length) return null;
  return html`
    <${Panel} title=${T.task.delivery}>
      <dl class="meta">
        ${rows.map(
          (key) => html`
            <dt>${T.task.fields[key]}</dt>
            <dd class="mono">${line(task[key], 300)}</dd>
          `,
        )}
        ${links.map(
          (key) => html`
            <dt>${T.task.fields[key]}</dt>
            <dd>
              <${TaskLink} uuid=${task[key]} />
            </dd>
          `,
        )}
      </dl>
    </${Panel}>
  `;
}

export function Reruns({ reruns }) {
  if (!reruns?.origin && !reruns?.reruns?.length) return null;
  const details = (each) => html`
    <span class="muted small">
      ${' '}
      <${Time} at=${each.created_at} />
      ${each.created_by ? ` ${T.task.by(line(each.created_by, 60))}` : ''}
      ${each.edited ? `, ${T.task.edited}` : ''}
    </span>
  `;
  return html`
    <${Panel} title=${T.task.reruns}>
      <dl class="meta">
        ${
          reruns.origin &&
          html`
            <dt>${T.task.rerunOf}</dt>
            <dd>
              <${TaskLink} uuid=${reruns.origin.origin} short />
              ${details(reruns.origin)}
            </dd>
          `
        }
        ${reruns.reruns.map(
          (each) => html`
            <dt>${T.task.rerunAs}</dt>
            <dd>
              <${TaskLink} uuid=${each.task} short />
              ${details(each)}
            </dd>
          `,
        )}
      </dl>
    </${Panel}>
  `;
}

const TONES = { failed: 'bad', retried: 'warn', lost: 'warn' };

export function Events({ task }) {
  const all = listEvents(task);
  if (!all.length) return null;
  return html`
    <${Panel} title=${T.task.events} end=${html`<span class="muted small">${int(all.length)}</span>`}>
      <table class="t ev">
        <tbody>
          ${all.slice(-200).map(
            ({ at, type, note, early }) => html`
              <tr>
                <td class="mono muted" title=${full(at)}>
                  ${clock(at, true)}
                </td>
                <td class=${TONES[type] ?? ''}>${type}</td>
                <td class="muted trunc">
                  ${line(note, 80)}
                  ${early > 0 && html`<small> ${T.task.clocksDiffer(duration(early))}</small>`}
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </${Panel}>
  `;
}

/** The attempts of earlier tasks with the same id. */
export function EarlierRuns({ task, now }) {
  const { earlier } = splitRuns(task);
  if (!earlier.length) return null;
  return html`
    <details class="runs">
      <summary>${T.task.earlierRuns(earlier.length)}</summary>
      <p class="muted small">${T.task.earlierRunsText}</p>
      ${earlier.map(
        (attempts, i) => html`
          <section aria-label=${T.task.run(i + 1)}>
            <h3>${T.task.run(i + 1)}</h3>
            <${Timeline} task=${task} now=${now} attempts=${attempts} />
          </section>
        `,
      )}
    </details>
  `;
}
