// Resolving, muting, opening again. It is shown as done at once; a refusal takes it back and says
// why.

import { post } from '../api.js';
import { html, useRef, useState } from '../lib.js';
import { encodeSegment } from '../router.js';
import { T } from '../strings.js';
import { showDialog } from '../ui/dialog.js';
import { toast, toastProblem } from '../ui/toast.js';

/** Seconds for which a group stays where it was, so that it can be undone. */
const UNDO_TIMEOUT = 6.5;

const HOUR = 3600;
const MUTE_DURATIONS = [
  ['1h', HOUR],
  ['24h', 24 * HOUR],
  ['7d', 7 * 24 * HOUR],
  ['', 0],
  ['other', 0],
];

/** What takes a group back to how it stood. @param {any} group @returns {[string, any]} */
function undoRequest({ status, note }) {
  if (status === 'resolved') return ['resolve', { comment: note?.comment ?? '' }];
  if (status === 'muted')
    return ['mute', { until: note?.until ?? null, comment: note?.comment ?? '' }];
  return ['reopen', undefined];
}

const STATUS_AFTER = { resolve: 'resolved', mute: 'muted', reopen: 'open' };

/**
 * Groups as they are shown: those of the server, with what was just done to them.
 * @param {() => void} reload reads them again
 * @returns {{shown: (group: any) => any, act: (group: any, action: 'resolve' | 'mute' | 'reopen',
 *   body?: any) => Promise<void>, busy: boolean}}
 */
export function useFailureActions(reload) {
  const [done, setDone] = useState(/** @type {Record<string, any>} */ ({}));
  const timers = useRef(/** @type {Record<string, any>} */ ({}));
  const drop = (id) => setDone(({ [id]: _, ...rest }) => rest);
  const settle = (id) => {
    clearTimeout(timers.current[id]);
    timers.current[id] = setTimeout(() => {
      drop(id);
      reload();
    }, UNDO_TIMEOUT * 1000);
  };
  const send = async (group, action, body) => {
    const { id } = group.fingerprint;
    clearTimeout(timers.current[id]);
    setDone((was) => ({
      ...was,
      [id]: { status: STATUS_AFTER[action], pending: true, note: null },
    }));
    try {
      const told = await post(`failures/${encodeSegment(id)}/${action}`, body);
      setDone((was) => ({
        ...was,
        [id]: {
          status: told.status,
          note: told.note,
          first_seen: told.first_seen,
          last_seen: told.last_seen,
        },
      }));
      settle(id);
      return true;
    } catch (problem) {
      drop(id);
      toastProblem(problem);
      return false;
    }
  };
  const act = async (group, action, body = undefined) => {
    const bodyOf = action === 'reopen' ? undefined : (body ?? { comment: '' });
    if (await send(group, action, bodyOf))
      toast(T.failures.did[action], {
        undo: () => {
          send(group, ...undoRequest(group));
        },
      });
  };
  return {
    shown: (group) => ({ ...group, ...done[group.fingerprint.id] }),
    act,
    busy: Object.keys(done).length > 0,
  };
}

/** Asks how long and why. @param {any} act of `useActs` @param {any} group */
export async function openMuteDialog(act, group) {
  const told = await showDialog({
    title: T.failures.muteTitle,
    body: (close) => html`<${MuteForm} close=${close} />`,
  });
  if (told) await act(group, 'mute', told);
}

/** Asks why. @param {any} act of `useActs` @param {any} group */
export async function openResolveDialog(act, group) {
  const comment = await showDialog({
    title: T.failures.resolveTitle,
    body: (close) => html`<${CommentForm} close=${close} />`,
  });
  if (comment !== null && comment !== undefined) await act(group, 'resolve', { comment });
}

const Row = ({ close, verb }) => html`
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
      <${Row} close=${close} verb=${T.failures.resolve} />
    </form>
  `;
}

function MuteForm({ close }) {
  const [choice, setChoice] = useState('24h');
  const [other, setOther] = useState('');
  const [comment, setComment] = useState('');
  const send = (event) => {
    event.preventDefault();
    const seconds = Object.fromEntries(MUTE_DURATIONS)[choice];
    close({
      until: choice === 'other' ? other.trim() : seconds ? Date.now() / 1000 + seconds : null,
      comment: comment.trim(),
    });
  };
  return html`
    <p>${T.failures.muteText}</p>
    <form onSubmit=${send}>
      <label class="f">
        ${T.failures.until}
        <select
          class="field"
          autofocus
          value=${choice}
          onChange=${(e) => setChoice(e.target.value)}
        >
          ${MUTE_DURATIONS.map(([key]) => html`<option value=${key}>${T.failures.untils[key]}</option>`)}
        </select>
      </label>
      ${
        choice === 'other' &&
        html`
          <label class="f">
            ${T.failures.untilOther}
            <input
              class="field"
              required
              value=${other}
              placeholder="tomorrow, 2026-11-23T10:00"
              onInput=${(e) => setOther(e.target.value)}
            />
          </label>
        `
      }
      <${Comment} value=${comment} onInput=${setComment} />
      <${Row} close=${close} verb=${T.failures.mute} />
    </form>
  `;
}
