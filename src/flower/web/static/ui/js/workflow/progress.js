// How far a workflow is, as a bar of three parts.
import { html } from '../lib.js';
import { T } from '../texts.js';
import { int } from '../format/numbers.js';

/** @param {{of: {tasks: number, ended: number, failed: number, running: number}}} props */
export function Progress({ of: { tasks, ended, failed, running } }) {
  const share = (n) => ({ width: `${tasks ? (100 * n) / tasks : 0}%` });
  return html`<span class="prog"><span class="prog-b" role="img" aria-label=${T.workflows.progress(int(ended), int(tasks), int(failed))}><i class="ok" style=${share(Math.max(0, ended - failed))}></i><i class="bad" style=${share(failed)}></i><i class="run" style=${share(running)}></i></span><small class="num" aria-hidden="true">${int(ended)}/${int(tasks)}</small></span>`;
}
