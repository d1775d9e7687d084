// What can be done with one task, each behind a dialog that says what it does.

import { post, RawJson } from '../api.js';
import { parse, toJson } from '../format/python.js';
import { line, visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import { encodeSegment, href } from '../router.js';
import { T } from '../strings.js';
import { confirmAction, showDialog } from '../ui/dialog.js';
import { ErrorPanel } from '../ui/panels.js';
import { toast, toastProblem } from '../ui/toast.js';

const taskPath = (task, what) => `tasks/${encodeSegment(task.uuid)}/${what}`;

const toastSent = (answer) =>
  toast(T.task.sentAs, { link: [href(`task/${encodeSegment(answer.task)}`), T.task.openNew] });

const planFacts = (plan) => [
  [T.task.args, T.task.from[plan.args_from] ?? plan.args_from],
  [T.task.kwargs, T.task.from[plan.kwargs_from] ?? plan.kwargs_from],
  ...(plan.queue ? [[T.task.facts.queue, line(plan.queue, 80)]] : []),
];

/**
 * Run it again as it was. What cannot be sent as it was leads to the form.
 * @param {any} task
 * @param {() => void} done
 */
export async function openRerunDialog(task, done) {
  let plan;
  try {
    plan = await post(taskPath(task, 'rerun'), { dry_run: true });
  } catch (problem) {
    if (problem.code === 'arguments_not_whole') {
      await openEditDialog(task, done, problem);
      return;
    }
    toastProblem(problem);
    return;
  }
  const more =
    plan.unknown.length > 0 &&
    html`<p class="muted small">${T.task.unknownParts(plan.unknown.join(', '))}</p>`;
  if (
    !(await confirmAction({
      title: T.task.runTitle(visible(task.name ?? task.uuid)),
      text: T.task.runText,
      verb: T.task.run,
      danger: false,
      facts: /** @type {any} */ (planFacts(plan)),
      more,
    }))
  )
    return;
  await post(taskPath(task, 'rerun'), {}).then((answer) => {
    toastSent(answer);
    done();
  }, toastProblem);
}

/**
 * @param {any} task
 * @param {() => void} done
 * @param {any} problem why it cannot be sent as it was
 */
export async function openEditDialog(task, done, problem = null) {
  const answer = await showDialog({
    title: T.task.editTitle(visible(task.name ?? task.uuid)),
    wide: true,
    body: (close) => html`<${EditForm} task=${task} first=${problem} close=${close} />`,
  });
  if (answer) {
    toastSent(answer);
    done();
  }
}

function EditForm({ task, first, close }) {
  const [value, setValue] = useState({
    args: toJson(parse(task.args)) ?? '',
    kwargs: toJson(parse(task.kwargs)) ?? '',
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
  const body = (dry) => {
    const parts = /** @type {Record<string, string>} */ ({});
    for (const [key, word] of /** @type {[string, string][]} */ ([
      ['args', T.task.args],
      ['kwargs', T.task.kwargs],
    ])) {
      if (!value[key].trim()) continue;
      try {
        JSON.parse(value[key]);
      } catch {
        throw Object.assign(new Error(T.task.notJson(word)), { hint: '' });
      }
      parts[key] = value[key];
    }
    if (value.queue.trim()) parts.queue = JSON.stringify(value.queue.trim());
    for (const key of ['priority', 'countdown'])
      if (value[key] !== '') parts[key] = String(Number(value[key]));
    if (dry) parts.dry_run = 'true';
    return new RawJson(parts);
  };
  const send = async (dry) => {
    setProblem(null);
    try {
      const answer = await post(taskPath(task, 'rerun'), body(dry));
      if (dry) setPlan(answer);
      else close(answer);
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
        placeholder=${T.task.keepOrigin}
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
        ${T.task.runText} ${T.task.editHint}
      </p>
      ${area('args', T.task.argsLabel, 3)}
      ${area('kwargs', T.task.kwargsLabel, 5)}
      <div class="three">
        <label class="f">
          ${T.task.queueLabel}
          <input
            class="field"
            value=${value.queue}
            placeholder=${task.queue ?? T.task.keepOrigin}
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
            placeholder=${task.priority ?? T.task.keepOrigin}
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
            <b class="small">${T.task.plan}</b>
            <dl class="meta">
              ${planFacts(plan).map(
                ([k, v]) => html`
                  <dt>${k}</dt>
                  <dd>${v}</dd>
                `,
              )}
            </dl>
            ${
              plan.unknown.length > 0 &&
              html`<p class="muted small">${T.task.unknownParts(plan.unknown.join(', '))}</p>`
            }
          </div>
        `
      }
      <div class="row">
        <button type="button" class="btn" autofocus onClick=${() => close(null)}>
          ${T.cancel}
        </button>
        <button type="button" class="btn" onClick=${() => send(true)}>
          ${T.task.check}
        </button>
        <button class="btn primary">${T.task.send}</button>
      </div>
    </form>
  `;
}

const SIGNALS = ['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGQUIT', 'SIGUSR1'];

/** @param {'revoke' | 'terminate' | 'abort'} action @param {any} task @param {() => void} done */
export async function stopTask(action, task, done) {
  let signal = SIGNALS[0];
  const more =
    action === 'terminate' &&
    html`
      <label class="f">
        ${T.act.signal}
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
      text: T.task[`${action}Text`],
      verb: T.task[action].replace('…', ''),
      keep: T.task.keep,
      more,
    }))
  )
    return;
  await post(taskPath(task, action), action === 'terminate' ? { signal } : undefined).then(
    (answer) => {
      toast(line(answer.message, 200));
      done();
    },
    toastProblem,
  );
}
