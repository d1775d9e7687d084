// Dialog of a bulk action: counts the tasks, shows the effect, starts the job after confirmation.

import { post } from '../api.js';
import { duration, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useEffect, useState } from '../lib.js';
import { encodeSegment, href } from '../router.js';
import * as T from '../strings.js';
import { isRunning, TaskState } from '../ui/components.js';
import { showDialog } from '../ui/dialog.js';
import { Icon } from '../ui/icons.js';
import { ErrorPanel, Skeleton } from '../ui/panels.js';
import { toast, toastProblem } from '../ui/toast.js';

const SIGNALS = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGQUIT', 'SIGUSR1'];
const MAX_EXCLUSION_ROWS = 4;

/**
 * @param {'rerun' | 'revoke' | 'terminate' | 'abort'} action
 * @param {{ids?: string[], query?: string, start?: any, end?: any, tz?: string}} target ids, or a
 *   query with its time range
 * @returns {Promise<any>} the job, or null if it was not started
 */
export async function startBulkAction(action, target) {
  /** @type {any} */
  const chosen = target.ids
    ? { ids: target.ids }
    : Object.fromEntries(
        Object.entries(target)
          .filter(([, value]) => value !== '' && value != null)
          .map(([key, value]) => [key, String(value)]),
      );
  if (!target.ids) chosen.query = target.query ?? '';
  const confirmed = await showDialog({
    title: T.act.titles[action](target.ids?.length ?? 0).replace(/^(\S+) 0 tasks/, '$1 tasks'),
    wide: true,
    body: (close) => html`<${BulkPlan} action=${action} chosen=${chosen} close=${close} />`,
  });
  if (!confirmed) return null;
  try {
    const { job } = await post('jobs', {
      action,
      ...chosen,
      expected_count: confirmed.count,
      ...(action === 'terminate' ? { signal: confirmed.signal } : {}),
    });
    toast(T.act.started(job.total), { link: [href(`jobs/${encodeSegment(job.id)}`), T.act.open] });
    return job;
  } catch (problem) {
    toastProblem(problem);
    return null;
  }
}

function BulkPlan({ action, chosen, close }) {
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [typed, setTyped] = useState('');
  const [signal, setSignal] = useState(SIGNALS[0]);
  const count = () => {
    setProblem(null);
    post('jobs', { action, ...chosen, dry_run: true }).then(
      (response) => setPlan(response.plan),
      setProblem,
    );
  };
  useEffect(count, []);
  const cancel = html`
    <button type="button" class="btn" autofocus onClick=${() => close(null)}>
      ${T.cancel}
    </button>
  `;
  if (problem)
    return html`
      <${ErrorPanel} problem=${problem} onRetry=${count} />
      <div class="row">${cancel}</div>
    `;
  if (!plan)
    return html`
      <p>${T.act.texts[action]}</p>
      <p class="muted" role="status">
        ${T.act.counting}
      </p>
      <${Skeleton} widths=${[50, 70, 40]} />
      <div class="row">${cancel}</div>
    `;
  const excluded = plan.excluded.reduce((sum, each) => sum + each.count, 0);
  const effect = plan.count - excluded;
  const running = Object.entries(plan.states).reduce(
    (sum, [state, n]) => sum + (state !== 'NOT_RECORDED' && isRunning({ state }) ? n : 0),
    0,
  );
  const tooMany = plan.count > plan.limit;
  // A query can match more tasks than expected, so the number must be typed.
  const mustType = chosen.ids === undefined && effect > 0;
  const ready =
    effect > 0 &&
    !tooMany &&
    (!mustType || typed.trim().replaceAll(',', '') === String(plan.count));
  return html`
    <p>${T.act.texts[action]}</p>
    <dl class="meta plan">
      <dt>${T.act.effect[action]}</dt>
      <dd>
        <b>${int(effect)}</b>
      </dd>
      <dt>${T.act.states}</dt>
      <dd class="states">
        ${Object.entries(plan.states).map(
          ([state, n]) => html`
            <span>
              <${TaskState} state=${state} /> ${int(n)}
            </span>
          `,
        )}
      </dd>
      ${
        plan.excluded.length > 0 &&
        html`
          <dt>${T.act.skipped}</dt>
          <dd>
            <ul>
              ${plan.excluded.slice(0, MAX_EXCLUSION_ROWS).map(
                (each) => html`
                  <li>
                    ${int(each.count)}: ${line(each.reason, 160)}
                  </li>
                `,
              )}
              ${plan.excluded.length > MAX_EXCLUSION_ROWS && html`<li>${T.act.more}</li>`}
            </ul>
          </dd>
        `
      }
      ${
        plan.min_duration >= 1 &&
        html`
          <dt>${T.act.minDuration}</dt>
          <dd>${duration(plan.min_duration)}</dd>
        `
      }
      ${
        action === 'terminate' &&
        html`
          <dt>
            <label for="signal">${T.act.signal}</label>
          </dt>
          <dd>
            <select
              id="signal"
              class="field"
              value=${signal}
              onChange=${(e) => setSignal(e.target.value)}
            >
              ${SIGNALS.map((each) => html`<option>${each}</option>`)}
            </select>
          </dd>
        `
      }
    </dl>
    ${
      tooMany &&
      html`
        <p class="bad" role="alert">
          ${T.act.tooMany(int(plan.count), int(plan.limit))}
        </p>
      `
    }
    ${effect === 0 && html`<p role="status">${T.act.nothing[action]}</p>`}
    ${
      plan.workflow_task_count > 0 &&
      html`
        <p class="notice warn" role="status">
          <${Icon} name="workflows" />
          ${T.act.workflowTasks(int(plan.workflow_task_count))}
        </p>
      `
    }
    ${
      action === 'revoke' &&
      running > 0 &&
      html`
        <p class="notice warn" role="status">
          <${Icon} name="failures" />
          ${T.act.runningContinue(int(running))}
        </p>
      `
    }
    ${
      mustType &&
      !tooMany &&
      html`
        <label class="f">
          ${T.act.typeCount(int(plan.count))}
          <input
            class="field"
            inputmode="numeric"
            autocomplete="off"
            value=${typed}
            onInput=${(e) => setTyped(e.target.value)}
          />
        </label>
      `
    }
    <div class="row">
      ${cancel}
      <button
        type="button"
        class=${`btn ${action === 'rerun' ? 'primary' : 'solid-danger'}`}
        disabled=${!ready}
        onClick=${() => close({ count: plan.count, signal })}
      >
        ${T.act.verbs[action](int(plan.count))}
      </button>
    </div>
  `;
}
