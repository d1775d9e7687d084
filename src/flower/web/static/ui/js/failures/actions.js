// Resolves, mutes and reopens failure groups. The new status is shown at once and taken back if the
// request fails.

import { post } from '../api.js';
import { html, useRef, useState } from '../lib.js';
import { encodeSegment } from '../router.js';
import * as T from '../strings.js';
import { showDialog } from '../ui/dialog.js';
import { toast, toastProblem } from '../ui/toast.js';

/** Seconds for which a changed group stays in the list, so that the change can be undone. */
const UNDO_TIMEOUT = 6.5;

const HOUR = 3600;
const MUTE_DURATIONS = [
  ['1h', HOUR],
  ['24h', 24 * HOUR],
  ['7d', 7 * 24 * HOUR],
  ['', 0],
  ['custom', 0],
];

/** The request that restores the status of a group. @param {any} group @returns {[string, any]} */
function undoRequest({ status, note }) {
  if (status === 'resolved') return ['resolve', { comment: note?.comment ?? '' }];
  if (status === 'muted')
    return ['mute', { expires_at: note?.expires_at ?? null, comment: note?.comment ?? '' }];
  return ['reopen', undefined];
}

const STATUS_AFTER = { resolve: 'resolved', mute: 'muted', reopen: 'open' };

/**
 * The actions on failure groups. `shown` gives a group with the changes that were just made.
 * @param {() => void} reload loads the groups again
 * @returns {{shown: (group: any) => any, act: (group: any, action: 'resolve' | 'mute' | 'reopen',
 *   body?: any) => Promise<void>, busy: boolean}}
 */
export function useFailureActions(reload) {
  const [changes, setChanges] = useState(/** @type {Record<string, any>} */ ({}));
  const timers = useRef(/** @type {Record<string, any>} */ ({}));
  const discard = (id) => setChanges(({ [id]: _, ...rest }) => rest);
  const settle = (id) => {
    clearTimeout(timers.current[id]);
    timers.current[id] = setTimeout(() => {
      discard(id);
      reload();
    }, UNDO_TIMEOUT * 1000);
  };
  const send = async (group, action, body) => {
    const { id } = group.fingerprint;
    clearTimeout(timers.current[id]);
    setChanges((previous) => ({
      ...previous,
      [id]: { status: STATUS_AFTER[action], pending: true, note: null },
    }));
    try {
      const response = await post(`failures/${encodeSegment(id)}/${action}`, body);
      setChanges((previous) => ({
        ...previous,
        [id]: {
          status: response.status,
          note: response.note,
          first_seen_at: response.first_seen_at,
          last_seen_at: response.last_seen_at,
        },
      }));
      settle(id);
      return true;
    } catch (problem) {
      discard(id);
      toastProblem(problem);
      return false;
    }
  };
  const act = async (group, action, body = undefined) => {
    const content = action === 'reopen' ? undefined : (body ?? { comment: '' });
    if (await send(group, action, content))
      toast(T.failures.changed[action], {
        undo: () => {
          send(group, ...undoRequest(group));
        },
      });
  };
  return {
    shown: (group) => ({ ...group, ...changes[group.fingerprint.id] }),
    act,
    busy: Object.keys(changes).length > 0,
  };
}

/** Opens the dialog with duration and comment, then mutes. @param {any} act of `useActs` @param {any} group */
export async function openMuteDialog(act, group) {
  const body = await showDialog({
    title: T.failures.muteTitle,
    body: (close) => html`<${MuteForm} close=${close} />`,
  });
  if (body) await act(group, 'mute', body);
}

/** Opens the dialog with a comment, then resolves. @param {any} act of `useActs` @param {any} group */
export async function openResolveDialog(act, group) {
  const comment = await showDialog({
    title: T.failures.resolveTitle,
    body: (close) => html`<${CommentForm} close=${close} />`,
  });
  if (comment !== null && comment !== undefined) await act(group, 'resolve', { comment });
}

const Buttons = ({ close, verb }) => html`
  <div class="row">
    <button type="button" class="btn" onClick=${() => close(null)}>
      ${T.cancel}
    </button>
    <button class="btn primary">${verb}</button>
  </div>
`;

const Comment = ({ value, onInput }) => html`
  <label class="f">
    ${T.failures.comment}
    <input
      class="field"
      maxlength="500"
      value=${value}
      placeholder=${T.failures.commentHint}
      onInput=${(e) => onInput(e.target.value)}
    />
  </label>
`;

function CommentForm({ close }) {
  const [comment, setComment] = useState('');
  return html`
    <p>${T.failures.resolveText}</p>
    <form
      onSubmit=${(e) => {
        e.preventDefault();
        close(comment.trim());
      }}
    >
      <${Comment} value=${comment} onInput=${setComment} />
      <${Buttons} close=${close} verb=${T.failures.resolve} />
    </form>
  `;
}

function MuteForm({ close }) {
  const [choice, setChoice] = useState('24h');
  const [custom, setCustom] = useState('');
  const [comment, setComment] = useState('');
  const send = (event) => {
    event.preventDefault();
    const seconds = Object.fromEntries(MUTE_DURATIONS)[choice];
    close({
      expires_at:
        choice === 'custom' ? custom.trim() : seconds ? Date.now() / 1000 + seconds : null,
      comment: comment.trim(),
    });
  };
  return html`
    <p>${T.failures.muteText}</p>
    <form onSubmit=${send}>
      <label class="f">
        ${T.failures.muteUntil}
        <select
          class="field"
          autofocus
          value=${choice}
          onChange=${(e) => setChoice(e.target.value)}
        >
          ${MUTE_DURATIONS.map(([key]) => html`<option value=${key}>${T.failures.muteDurations[key]}</option>`)}
        </select>
      </label>
      ${
        choice === 'custom' &&
        html`
          <label class="f">
            ${T.failures.muteCustom}
            <input
              class="field"
              required
              value=${custom}
              placeholder=${T.failures.muteCustomHint}
              onInput=${(e) => setCustom(e.target.value)}
            />
          </label>
        `
      }
      <${Comment} value=${comment} onInput=${setComment} />
      <${Buttons} close=${close} verb=${T.failures.mute} />
    </form>
  `;
}
