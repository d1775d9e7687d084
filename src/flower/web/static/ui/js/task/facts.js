// The key facts of a task: times, attempts, worker, queue.

import { duration, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html } from '../lib.js';
import { searchAddress } from '../router.js';
import { quoteValue } from '../search/queryText.js';
import * as T from '../strings.js';
import { Fact, FINAL_STATES, WorkerLink } from '../ui/components.js';
import { splitRuns } from './attempts.js';

export function Facts({ task, now }) {
  const isFinished = FINAL_STATES.has(task.state);
  const queuedAt = task.sent_at ?? task.received_at;
  const run = splitRuns(task).current;
  const attempts = run.length;
  const last = run[attempts - 1];
  const ran =
    task.runtime ??
    last?.runtime ??
    (last?.started_at != null && last.ended_at != null ? last.ended_at - last.started_at : null);
  return html`
    <dl class="panel facts">
      ${
        task.state === 'STARTED' && task.started_at != null && !task.lost
          ? html`<${Fact} name=${T.task.facts.running}>${duration(
              Math.max(0, now - task.started_at),
            )}</${Fact}>`
          : html`
            <${Fact} name=${attempts > 1 ? T.task.facts.runtimeLast : T.task.facts.runtime}>
              ${duration(ran)}
            </${Fact}>
          `
      }
      ${
        !isFinished && task.started_at == null && queuedAt != null && !task.lost
          ? html`<${Fact} name=${T.task.facts.waiting}>${duration(
              Math.max(0, now - queuedAt),
            )}</${Fact}>`
          : html`
            <${Fact} name=${T.task.facts.waited}>
              ${duration(task.wait == null ? null : Math.max(0, task.wait))}
            </${Fact}>
          `
      }
      ${
        task.backoff != null &&
        html`<${Fact} name=${T.task.facts.backoff}>${duration(task.backoff)}</${Fact}>`
      }
      ${
        isFinished &&
        queuedAt != null &&
        html`<${Fact} name=${T.task.facts.total}>${duration(task.last_event_at - queuedAt)}</${Fact}>`
      }
      <${Fact} name=${T.task.facts.attempts}>
        ${int(Math.max(attempts, (task.retries ?? 0) + 1))}
      </${Fact}>
      <${Fact} name=${T.task.facts.worker}>
        <${WorkerLink} name=${task.worker} />
      </${Fact}>
      <${Fact} name=${T.task.facts.queue}>
        ${
          task.queue
            ? html`<a href=${searchAddress(`queue:=${quoteValue(task.queue)}`)}>${line(task.queue)}</a>`
            : '–'
        }
      </${Fact}>
    </dl>
  `;
}
