// How far a workflow is, as a bar of three parts.

import { int } from '../format/numbers.js';
import { html } from '../lib.js';
import { T } from '../strings.js';
import { StateShape, stateClass } from '../ui/components.js';

/** @param {{of: {tasks: number, ended: number, failed: number, running: number}}} props */
export function Progress({ of: { tasks, ended, failed, running } }) {
  const share = (n) => ({ width: `${tasks ? (100 * n) / tasks : 0}%` });
  return html`
    <span class="prog">
      <span
        class="prog-b"
        role="img"
        aria-label=${T.workflows.progress(int(ended), int(tasks), int(failed))}
      >
        <i class="ok" style=${share(Math.max(0, ended - failed))}></i>
        <i class="bad" style=${share(failed)}></i>
        <i class="run" style=${share(running)}></i>
      </span>
      <small class="num" aria-hidden="true">
        ${int(ended)}/${int(tasks)}
      </small>
    </span>
  `;
}

/**
 * How a workflow is, as the state of a task that would be so: one that failed anywhere has failed.
 * @param {{tasks: number, ended: number, failed: number, running: number}} of
 */
export const workflowState = ({ tasks, ended, failed, running }) =>
  failed ? 'FAILURE' : ended >= tasks ? 'SUCCESS' : running ? 'STARTED' : 'RECEIVED';

/** @param {{of: any, lg?: boolean}} props */
export function WorkflowState({ of, lg = false }) {
  const state = workflowState(of);
  return html`
    <span
      class=${`st ${stateClass(state)}${lg ? ' lg' : ''}${state === 'SUCCESS' && !lg ? ' quiet' : ''}`}
    >
      <${StateShape} s=${state} />
      <span>${T.workflows.standing[state]}</span>
    </span>
  `;
}
