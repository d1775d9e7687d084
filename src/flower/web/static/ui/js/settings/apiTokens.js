// The panel of API tokens: create (the secret is shown once), list, revoke.

import { get, post, remove } from '../api.js';
import { currentUser, denialReason } from '../currentUser.js';
import { line, visible } from '../format/text.js';
import { html, useState } from '../lib.js';
import { encodeSegment } from '../router.js';
import * as T from '../strings.js';
import { CopyButton, Time } from '../ui/components.js';
import { confirmAction, showDialog } from '../ui/dialog.js';
import { notifyResult } from '../ui/operationsComponents.js';
import { ErrorPanel, Loaded, Panel } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const S = T.settings;

export function Tokens() {
  const tokens = useResource((signal) => get('tokens', {}, { signal }), []);
  const method = currentUser.value?.auth_method;
  const why =
    method === 'none' ? S.signInRequired : method === 'token' ? S.byToken : denialReason('view');
  const create = async () => {
    const created = await showDialog({
      title: S.createTitle,
      body: (close) => html`<${CreateForm} close=${close} />`,
    });
    if (!created) return;
    tokens.reload();
    await showDialog({
      title: S.secretTitle(visible(created.token.name)),
      wide: true,
      body: (close) => html`
        <p>${S.secretText}</p>
        <p class="secret">
          <code>${created.secret}</code>
          <${CopyButton} text=${created.secret} what=${T.copy.text} />
        </p>
        <div class="row">
          <button type="button" class="btn primary" autofocus onClick=${() => close(true)}>
            ${S.done}
          </button>
        </div>
      `,
    });
  };
  return html`
    <${Panel}
      title=${S.tokens}
      end=${html`<button type="button" class="btn" disabled=${!!why} title=${why || null} onClick=${create}>
          ${S.create}
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
            : html`<p class="pad muted">${S.noTokens}</p>`}
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
      })
    ) {
      await notifyResult(remove(`tokens/${encodeSegment(token.id)}`), () =>
        S.tokenRevoked(visible(token.name)),
      );
      reload();
    }
  };
  const stateOf = (token) =>
    token.revoked_at != null
      ? S.revoked
      : token.expires_at != null && token.expires_at < Date.now() / 1000
        ? S.expired
        : S.valid;
  return html`
    <div class="scroll">
      <table class="t">
        <thead>
          <tr>
            <th>${S.tokenName}</th>
            <th>${S.owner}</th>
            <th>${S.permissions}</th>
            <th>${S.state}</th>
            <th>${S.created}</th>
            <th>${S.expires}</th>
            <th>${S.lastUsed}</th>
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
                  <${Time} at=${token.created_at} />
                </td>
                <td>${token.expires_at == null ? S.never : html`<${Time} at=${token.expires_at} />`}</td>
                <td title=${line(token.last_used_from, 60)}>
                  ${token.last_used_at == null ? S.never : html`<${Time} at=${token.last_used_at} />`}
                </td>
                <td class="right">
                  ${
                    token.revoked_at == null &&
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

function CreateForm({ close }) {
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const send = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const permissions = form.getAll('permission');
    if (!permissions.length) {
      setProblem({ message: S.choosePermission });
      return;
    }
    const days = String(form.get('days') ?? '').trim();
    post('tokens', {
      name: String(form.get('name')).trim(),
      permissions,
      expires_in_days: days === '' ? null : Number(days),
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
      <fieldset class="permissions">
        <legend>${S.permissions}</legend>
        ${(currentUser.value?.permissions ?? []).map(
          (each) => html`
            <label>
              <input
                class="check"
                type="checkbox"
                name="permission"
                value=${each}
                defaultChecked=${each === 'view'}
              />
              ${S.permissionNames[each] ?? line(each)}
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
        <button class="btn primary">${S.createVerb}</button>
      </div>
    </form>
  `;
}
