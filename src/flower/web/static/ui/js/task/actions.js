// Actions on one task, each behind a dialog.

import { get, post, RawJson } from '../api.js';
import { denialReason } from '../currentUser.js';
import { line, visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import { encodeSegment, href } from '../router.js';
import * as T from '../strings.js';
import { isRunning } from '../ui/components.js';
import { confirmAction, showDialog } from '../ui/dialog.js';
import { Icon } from '../ui/icons.js';
import { ErrorPanel } from '../ui/panels.js';
import { toast, toastProblem } from '../ui/toast.js';
import { toJson } from './literalTree.js';

const taskPath = (task, action) => `tasks/${encodeSegment(task.uuid)}/${action}`;

const toastSent = (response) =>
  toast(T.task.rerunSent, {
    link: [href(`task/${encodeSegment(response.task)}`), T.task.viewTask],
  });

const planFacts = (plan) => [
  [T.task.args, T.task.argumentSources[plan.args_from] ?? plan.args_from],
  [T.task.kwargs, T.task.argumentSources[plan.kwargs_from] ?? plan.kwargs_from],
  ...(plan.queue ? [[T.task.facts.queue, line(plan.queue, 80)]] : []),
];

/** The root of the workflow that the task belongs to, as far as its record shows; null if none. */
const findRoot = ({ uuid, root_id: root, parent_id: parent, children }) =>
  [root, parent].find((each) => each && each !== uuid) ?? (children?.length ? uuid : null);

/** A warning that the later steps of the workflow are not sent, and the re-run of its root instead. */
const WorkflowNotice = ({ task, root, close, done }) =>
  root &&
  html`
    <div class="notice warn" role="status">
      <${Icon} name="workflows" />
      <div>
        <p>${T.task.workflowRerun}</p>
        ${root !== task.uuid && html`<p>${T.task.rootRerunText}</p>`}
      </div>
      ${
        root !== task.uuid &&
        html`
          <button
            type="button"
            class="btn"
            onClick=${() => {
              close(null);
              rerunRoot(root, done);
            }}
          >
            ${T.task.rootRerun}
          </button>
        `
      }
    </div>
  `;

const rerunRoot = (root, done) =>
  get(`tasks/${encodeSegment(root)}`).then((task) => openRerunDialog(task, done), toastProblem);

/** Opens the dialog to run the task again; disabled if the user may not. */
export function RerunButton({ task, reload }) {
  const why = denialReason('tasks');
  return html`
    <button
      type="button"
      class="btn"
      disabled=${!!why}
      title=${why || null}
      onClick=${() => openRerunDialog(task, reload)}
    >
      <${Icon} name="retry" />
      <span>${T.task.rerun}</span>
    </button>
  `;
}

/**
 * Re-runs the task unchanged after confirmation; opens the edit dialog if its arguments are not known.
 * @param {any} task
 * @param {() => void} done
 */
export async function openRerunDialog(task, done) {
  let plan;
  try {
    plan = await post(taskPath(task, 'rerun'), { dry_run: true });
  } catch (problem) {
    if (problem.code === 'truncated_arguments') {
      await openEditDialog(task, done, problem);
      return;
    }
    toastProblem(problem);
    return;
  }
  const more = (close) => html`
    ${
      plan.unknown_options.length > 0 &&
      html`<p class="muted small">${T.task.unknownOptions(plan.unknown_options.join(', '))}</p>`
    }
    <${WorkflowNotice} task=${task} root=${plan.workflow} close=${close} done=${done} />
  `;
  if (
    !(await confirmAction({
      title: T.task.rerunTitle(visible(task.name ?? task.uuid)),
      text: T.task.rerunText,
      verb: T.task.rerunVerb,
      danger: false,
      facts: /** @type {any} */ (planFacts(plan)),
      more,
    }))
  )
    return;
  await post(taskPath(task, 'rerun'), {}).then((response) => {
    toastSent(response);
    done();
  }, toastProblem);
}

/**
 * @param {any} task
 * @param {() => void} done
 * @param {any} problem the error of a re-run with unchanged arguments
 */
export async function openEditDialog(task, done, problem = null) {
  const response = await showDialog({
    title: T.task.editTitle(visible(task.name ?? task.uuid)),
    wide: true,
    body: (close) =>
      html`<${EditForm} task=${task} first=${problem} close=${close} done=${done} />`,
  });
  if (response) {
    toastSent(response);
    done();
  }
}

function EditForm({ task, first, close, done }) {
  const [value, setValue] = useState({
    args: toJson(task.values?.args) ?? '',
    kwargs: toJson(task.values?.kwargs) ?? '',
    queue: '',
    priority: '',
    countdown: '',
  });
  const [problem, setProblem] = useState(first);
  const [plan, setPlan] = useState(/** @type {any} */ (null));
  const set = (key) => (event) => {
    setValue({ ...value, [key]: event.target.value });
    setPlan(null);
  };
  const body = (isPreview) => {
    const parts = /** @type {Record<string, string>} */ ({});
    for (const [key, name] of /** @type {[string, string][]} */ ([
      ['args', T.task.args],
      ['kwargs', T.task.kwargs],
    ])) {
      if (!value[key].trim()) continue;
      try {
        JSON.parse(value[key]);
      } catch (error) {
        throw Object.assign(new Error(T.task.invalidJson(name)), { hint: error.message });
      }
      parts[key] = value[key];
    }
    if (value.queue.trim()) parts.queue = JSON.stringify(value.queue.trim());
    for (const key of ['priority', 'countdown'])
      if (value[key] !== '') parts[key] = String(Number(value[key]));
    if (isPreview) parts.dry_run = 'true';
    return new RawJson(parts);
  };
  const send = async (isPreview) => {
    setProblem(null);
    try {
      const response = await post(taskPath(task, 'rerun'), body(isPreview));
      if (isPreview) setPlan(response);
      else close(response);
    } catch (error) {
      setProblem(error);
    }
  };
  const area = (key, label, rows) => html`
    <label class="f">
      ${label}
      <textarea
        class="field"
        rows=${rows}
        spellcheck=${false}
        value=${value[key]}
        placeholder=${T.task.unchanged}
        onInput=${set(key)}
      ></textarea>
    </label>
  `;
  return html`
    <form
      class="edit"
      onSubmit=${(e) => {
        e.preventDefault();
        send(false);
      }}
    >
      <p>
        ${T.task.rerunText} ${T.task.editHint}
      </p>
      <${WorkflowNotice} task=${task} root=${findRoot(task)} close=${close} done=${done} />
      ${area('args', T.task.argsLabel, 3)}
      ${area('kwargs', T.task.kwargsLabel, 5)}
      <div class="three">
        <label class="f">
          ${T.task.queueLabel}
          <input
            class="field"
            value=${value.queue}
            placeholder=${task.queue ?? T.task.unchanged}
            onInput=${set('queue')}
          />
        </label>
        <label class="f">
          ${T.task.priorityLabel}
          <input
            class="field"
            type="number"
            min="0"
            max="255"
            value=${value.priority}
            placeholder=${task.priority ?? T.task.unchanged}
            onInput=${set('priority')}
          />
        </label>
        <label class="f">
          ${T.task.countdownLabel}
          <input
            class="field"
            type="number"
            min="0"
            step="any"
            value=${value.countdown}
            onInput=${set('countdown')}
          />
        </label>
      </div>
      ${problem && html`<${ErrorPanel} problem=${problem} />`}
      ${
        plan &&
        html`
          <div role="status">
            <b class="small">${T.task.previewTitle}</b>
            <dl class="meta">
              ${planFacts(plan).map(
                ([k, v]) => html`
                  <dt>${k}</dt>
                  <dd>${v}</dd>
                `,
              )}
            </dl>
            ${
              plan.unknown_options.length > 0 &&
              html`<p class="muted small">${T.task.unknownOptions(plan.unknown_options.join(', '))}</p>`
            }
          </div>
        `
      }
      <div class="row">
        <button type="button" class="btn" autofocus onClick=${() => close(null)}>
          ${T.cancel}
        </button>
        <button type="button" class="btn" onClick=${() => send(true)}>
          ${T.task.preview}
        </button>
        <button class="btn primary">${T.task.send}</button>
      </div>
    </form>
  `;
}

const SIGNALS = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGQUIT', 'SIGUSR1'];

/**
 * Stops the task after confirmation. Revoke does not stop a running task, so Terminate is offered then.
 * @param {'revoke' | 'terminate' | 'abort'} action
 * @param {any} task
 * @param {() => void} done
 */
export async function stopTask(action, task, done) {
  const continues = action === 'revoke' && isRunning(task);
  let signal = SIGNALS[0];
  const more =
    action === 'terminate' &&
    html`
      <label class="f">
        ${T.task.signal}
        <select
          class="field"
          onChange=${(e) => {
            signal = e.target.value;
          }}
        >
          ${SIGNALS.map((each) => html`<option>${each}</option>`)}
        </select>
      </label>
    `;
  if (
    !(await confirmAction({
      title: T.task[`${action}Title`],
      text: continues ? T.task.revokeRunningText : T.task[`${action}Text`],
      verb: T.task[action].replace('…', ''),
      more,
    }))
  )
    return;
  await post(taskPath(task, action), action === 'terminate' ? { signal } : undefined).then(
    (response) => {
      if (continues)
        toast(T.task.revokeContinues, {
          action: [T.task.terminate, () => stopTask('terminate', task, done)],
        });
      else toast(line(response.message, 200));
      done();
    },
    toastProblem,
  );
}
