// API tokens: made, shown once, revoked.

import { get, post, remove } from '../api.js';
import { currentUser, denialReason } from '../currentUser.js';
import { line, visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import { encodeSegment } from '../router.js';
import { T } from '../strings.js';
import { CopyButton, Time } from '../ui/components.js';
import { confirmAction, showDialog } from '../ui/dialog.js';
import { notifyResult } from '../ui/operationsComponents.js';
import { ErrorPanel, Loaded, Panel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const S = T.settings;

export function Tokens() {
  const tokens = useResource((signal) => get('tokens', {}, { signal }), []);
  const way = currentUser.value?.way;
  const why = way === 'nobody' ? S.noLogin : way === 'token' ? S.byToken : denialReason('view');
  const make = async () => {
    const made = await showDialog({
      title: S.makeTitle,
      body: (close) => html`<${Make} close=${close} />`,
    });
    if (!made) return;
    tokens.reload();
    await showDialog({
      title: S.onceTitle(visible(made.token.name)),
      wide: true,
      body: (close) => html`
        <p>${S.once}</p>
        <p class="secret">
          <code>${made.text}</code>
          <${CopyButton} text=${made.text} what=${T.copy.text} />
        </p>
        <div class="row">
          <button type="button" class="btn primary" autofocus onClick=${() => close(true)}>
            ${S.haveIt}
          </button>
        </div>
      `,
    });
  };
  return html`
    <${Panel}
      title=${S.tokens}
      end=${html`<button type="button" class="btn" disabled=${!!why} title=${why || null} onClick=${make}>
          ${S.make}
        </button>`}
    >
      <p class="pad muted small">
        ${S.tokensText}
        ${why && ` ${why}`}
      </p>
      <${Loaded} of=${tokens}>
        ${(data) =>
          data.tokens.length
            ? html`<${Table} tokens=${data.tokens} reload=${tokens.reload} />`
            : html`<p class="pad muted">${S.tokenNone}</p>`}
      </${Loaded}>
    </${Panel}>
  `;
}

function Table({ tokens, reload }) {
  const revoke = async (token) => {
    if (
      await confirmAction({
        title: S.revokeTitle(visible(token.name)),
        text: S.revokeText,
        verb: S.revokeVerb,
        keep: S.revokeKeep,
      })
    ) {
      await notifyResult(remove(`tokens/${encodeSegment(token.id)}`), () =>
        S.revokedNow(visible(token.name)),
      );
      reload();
    }
  };
  const stateOf = (token) =>
    token.revoked != null
      ? S.revoked
      : token.expires != null && token.expires < Date.now() / 1000
        ? S.expired
        : S.valid;
  return html`
    <div class="scroll">
      <table class="t">
        <thead>
          <tr>
            <th>${S.tokenName}</th>
            <th>${S.owner}</th>
            <th>${S.tokenMay}</th>
            <th>${S.state}</th>
            <th>${S.made}</th>
            <th>${S.expires}</th>
            <th>${S.used}</th>
            <th>
              <span class="vh">${S.revoke}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          ${tokens.map(
            (token) => html`
              <tr key=${token.id}>
                <td class="nm trunc name">${line(token.name, 100)}</td>
                <td>${line(token.owner, 60)}</td>
                <td class="muted">${token.permissions.join(', ')}</td>
                <td>${stateOf(token)}</td>
                <td>
                  <${Time} at=${token.made} />
                </td>
                <td>${token.expires == null ? S.never : html`<${Time} at=${token.expires} />`}</td>
                <td title=${line(token.used_from, 60)}>
                  ${token.used == null ? S.never : html`<${Time} at=${token.used} />`}
                </td>
                <td class="right">
                  ${
                    token.revoked == null &&
                    html`
                      <button
                        type="button"
                        class="btn quiet danger"
                        disabled=${!!denialReason('view')}
                        title=${denialReason('view') || null}
                        aria-label=${`${S.revoke} ${line(token.name, 80)}`}
                        onClick=${() => revoke(token)}
                      >
                        ${S.revoke}
                      </button>
                    `
                  }
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

function Make({ close }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const send = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const permissions = form.getAll('may');
    if (!permissions.length) {
      setProblem({ message: S.pick });
      return;
    }
    const days = String(form.get('days') ?? '').trim();
    post('tokens', {
      name: String(form.get('name')).trim(),
      permissions,
      days: days === '' ? null : Number(days),
    }).then(close, setProblem);
  };
  return html`
    <form onSubmit=${send}>
      <label class="f">
        ${S.tokenName}
        <input
          class="field"
          name="name"
          required
          maxlength="200"
          autofocus
          autocomplete="off"
        />
      </label>
      <fieldset class="may">
        <legend>${S.tokenMay}</legend>
        ${(currentUser.value?.permissions ?? []).map(
          (each) => html`
            <label>
              <input
                class="check"
                type="checkbox"
                name="may"
                value=${each}
                defaultChecked=${each === 'view'}
              />
              ${S.permission[each] ?? line(each)}
            </label>
          `,
        )}
      </fieldset>
      <label class="f">
        ${S.days} (${S.daysHint})
        <input class="field" name="days" type="number" min="1" max="3653" defaultValue="90" />
      </label>
      ${problem && html`<${ErrorPanel} problem=${problem} />`}
      <div class="row">
        <button type="button" class="btn" onClick=${() => close(null)}>
          ${T.cancel}
        </button>
        <button class="btn primary">${S.makeVerb}</button>
      </div>
    </form>
  `;
}
