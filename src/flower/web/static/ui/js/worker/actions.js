// Commands to a worker. The reply of the worker is shown; commands that interrupt work ask first.

import { post } from '../api.js';
import { line, visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import { encodeSegment } from '../router.js';
import * as T from '../strings.js';
import { confirmAction, showDialog } from '../ui/dialog.js';
import { NumberField, notifyResult } from '../ui/operationsComponents.js';
import { ErrorPanel } from '../ui/panels.js';

const W = T.worker;

/**
 * @param {string} name
 * @param {string} path below the worker's address
 * @param {any} body
 * @returns {Promise<any>} null if the command failed
 */
export const sendCommand = (name, path, body = undefined) =>
  notifyResult(post(`workers/${encodeSegment(name)}/${path}`, body), (response) =>
    response.reply == null ? W.commandSent : W.reply(visible(response.reply)),
  );

/** @param {string} name @param {any[] | null} active its running tasks, if known */
export async function shutDown(name, active) {
  if (
    await confirmAction({
      title: W.shutdownTitle(visible(name)),
      text: W.shutdownText,
      verb: W.shutdownVerb,
      facts: active ? [[W.running, String(active.length)]] : [],
    })
  )
    return sendCommand(name, 'shutdown');
  return null;
}

/** @param {string} name @param {any[] | null} active */
export async function restartPool(name, active) {
  if (
    await confirmAction({
      title: W.restartTitle(visible(name)),
      text: W.restartText,
      verb: W.restartVerb,
      facts: active ? [[W.running, String(active.length)]] : [],
    })
  )
    return sendCommand(name, 'pool/restart');
  return null;
}

/**
 * Forms that grow, shrink and autoscale the pool.
 * @param {{name: string, why: string, then: () => void}} props why: why the
 *   controls are disabled, '' if they are not
 */
export function PoolControls({ name, why, then }) {
  const readNumbers = (event) => {
    event.preventDefault();
    return Object.fromEntries(
      [...new FormData(event.target)].map(([key, value]) => [key, Number(value)]),
    );
  };
  const grow = async (event) => {
    if (await sendCommand(name, 'pool/grow', readNumbers(event))) then();
  };
  const shrink = async (event) => {
    const { n } = readNumbers(event);
    if (
      (await confirmAction({
        title: W.shrinkTitle(W.processes(n)),
        text: W.shrinkText,
        verb: W.shrink,
      })) &&
      (await sendCommand(name, 'pool/shrink', { n }))
    )
      then();
  };
  const scale = async (event) => {
    if (await sendCommand(name, 'pool/autoscale', readNumbers(event))) then();
  };
  const button = (label) => html`
    <button class="btn" disabled=${!!why} title=${why || null}>
      ${label}
    </button>
  `;
  return html`
    <div class="controls">
      ${why && html`<p class="muted">${why}</p>`}
      <form onSubmit=${grow}>
        <${NumberField} name="n" label=${W.growBy} value="1" disabled=${!!why} />
        ${button(W.grow)}
      </form>
      <form onSubmit=${shrink}>
        <${NumberField} name="n" label=${W.shrinkBy} value="1" disabled=${!!why} />
        ${button(W.shrink)}
      </form>
      <form onSubmit=${scale}>
        <${NumberField} name="min" label=${W.min} min=${0} placeholder=${W.minHint} disabled=${!!why} />
        <span class="muted">${W.to}</span>
        <${NumberField} name="max" label=${W.max} placeholder=${W.maxHint} disabled=${!!why} />
        ${button(W.autoscale)}
      </form>
    </div>
  `;
}

/** @param {{name: string, why: string, then: () => void}} props */
export function AddConsumer({ name, why, then }) {
  const add = async (event) => {
    event.preventDefault();
    const form = event.target;
    if (await sendCommand(name, 'consumers/add', { queue: form.queue.value.trim() })) {
      form.reset();
      then();
    }
  };
  return html`
    <form class="controls" onSubmit=${add}>
      <input
        class="field find"
        name="queue"
        maxlength="255"
        required
        aria-label=${W.addQueue}
        placeholder=${W.addQueue}
        disabled=${!!why}
      />
      <button class="btn" disabled=${!!why} title=${why || null}>
        ${W.add}
      </button>
    </form>
  `;
}

/** @param {string} name @param {string} queue */
export async function cancelConsumer(name, queue) {
  if (
    await confirmAction({
      title: W.cancelTitle(line(queue, 80)),
      text: W.cancelText,
      verb: W.cancelVerb,
    })
  )
    return sendCommand(name, 'consumers/cancel', { queue });
  return null;
}

/**
 * Rate and time limits of one task type.
 * @param {string} name
 * @param {string} task
 * @param {() => void} then called after each command
 */
export const showLimits = (name, task, then) =>
  showDialog({
    title: W.limitTitle(line(task, 120)),
    wide: true,
    body: (close) => html`<${Limits} name=${name} task=${task} then=${then} close=${close} />`,
  });

function Limits({ name, task, then, close }) {
  const [reply, setReply] = useState('');
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const send = (path, body) => {
    setReply('');
    setProblem(null);
    post(`workers/${encodeSegment(name)}/limits/${path}`, { task, ...body }).then((response) => {
      setReply(W.reply(visible(response.reply)));
      then();
    }, setProblem);
  };
  const rate = (event) => {
    event.preventDefault();
    send('rate', { rate: event.target.rate.value.trim() });
  };
  const seconds = (text) => (text.trim() === '' ? null : Number(text));
  const times = (event) => {
    event.preventDefault();
    send('time', {
      soft: seconds(event.target.soft.value),
      hard: seconds(event.target.hard.value),
    });
  };
  return html`
    <p>${W.limitText}</p>
    <form onSubmit=${rate}>
      <div class="two">
        <label class="f">
          ${W.rate}
          <input
            class="field"
            name="rate"
            autofocus
            required
            maxlength="40"
            aria-describedby="rate-hint"
          />
        </label>
        <button class="btn">${W.setRate}</button>
      </div>
      <p class="muted small" id="rate-hint">
        ${W.rateHint}
      </p>
    </form>
    <form onSubmit=${times}>
      <div class="two">
        <label class="f">
          ${W.soft}
          <input
            class="field"
            name="soft"
            type="number"
            min="0"
            step="any"
            aria-describedby="times-hint"
          />
        </label>
        <label class="f">
          ${W.hard}
          <input
            class="field"
            name="hard"
            type="number"
            min="0"
            step="any"
            aria-describedby="times-hint"
          />
        </label>
        <button class="btn">${W.setTimes}</button>
      </div>
      <p class="muted small" id="times-hint">
        ${W.timesHint}
      </p>
    </form>
    ${problem && html`<${ErrorPanel} problem=${problem} />`}
    <p role="status">${reply}</p>
    <div class="row">
      <button type="button" class="btn" onClick=${() => close(null)}>
        ${W.close}
      </button>
    </div>
  `;
}
