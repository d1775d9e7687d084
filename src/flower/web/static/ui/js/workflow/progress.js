// The progress and state of a workflow.

import { int } from '../format/numbers.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
import { StateShape, stateClass } from '../ui/components.js';

/**
 * @typedef {{task_count: number, finished_count: number, failed_count: number, running_count: number}}
 *   Counts
 */

/** @param {{of: Counts}} props */
export function Progress({
  of: { task_count: all, finished_count: finished, failed_count: failed, running_count: running },
}) {
  const share = (n) => ({ width: `${all ? (100 * n) / all : 0}%` });
  return html`
    <span class="prog">
      <span
        class="prog-b"
        role="img"
        aria-label=${T.workflows.progress(int(finished), int(all), int(failed))}
      >
        <i class="ok" style=${share(Math.max(0, finished - failed))}></i>
        <i class="bad" style=${share(failed)}></i>
        <i class="run" style=${share(running)}></i>
      </span>
      <small class="num" aria-hidden="true">
        ${int(finished)}/${int(all)}
      </small>
    </span>
  `;
}

/**
 * The state of a workflow as a task state; it has failed if any of its tasks has.
 * @param {Counts} of
 */
export const workflowState = ({ task_count, finished_count, failed_count, running_count }) =>
  failed_count
    ? 'FAILURE'
    : finished_count >= task_count
      ? 'SUCCESS'
      : running_count
        ? 'STARTED'
        : 'RECEIVED';

/** @param {{of: any, lg?: boolean}} props */
export function WorkflowState({ of, lg = false }) {
  const state = workflowState(of);
  return html`
    <span
      class=${`st ${stateClass(state)}${lg ? ' lg' : ''}${state === 'SUCCESS' && !lg ? ' quiet' : ''}`}
    >
      <${StateShape} state=${state} />
      <span>${T.workflows.states[state]}</span>
    </span>
  `;
}
