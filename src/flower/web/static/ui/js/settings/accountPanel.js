// The panel of the account: name, permissions, and the end of sessions.

import { remove } from '../api.js';
import { currentUser, denialReason } from '../currentUser.js';
import { line } from '../format/text.js';
import { html } from '../lib.js';
import { href } from '../router.js';
import * as T from '../strings.js';
import { confirmAction } from '../ui/dialog.js';
import { hasPermission, notifyResult } from '../ui/operationsComponents.js';
import { Panel } from '../ui/panels.js';

const S = T.settings;

export function Account() {
  const user = currentUser.value;
  return html`
    <${Panel} title=${S.account} end=${user && html`<${EndSessions} user=${user} />`}>
      ${
        user &&
        html`
          <dl class="meta">
            <dt>${S.name}</dt>
            <dd>${user.name ? line(user.name, 100) : html`<span class="muted">${T.anonymous}</span>`}</dd>
            <dt>${S.authentication}</dt>
            <dd>${S.authMethods[user.auth_method] ?? line(user.auth_method)}</dd>
            <dt>${S.permissions}</dt>
            <dd>
              <${Rights} permissions=${user.permissions} />
            </dd>
          </dl>
        `
      }
    </${Panel}>
  `;
}

/** Buttons that end the user's own sessions, and those of all users. */
function EndSessions({ user }) {
  if (user.auth_method === 'none' || user.auth_method === 'token') return null;
  const end = async (texts, path) => {
    if (await confirmAction({ title: texts.title, text: texts.text, verb: texts.verb })) {
      const ended = await notifyResult(remove(path), () => texts.done);
      if (ended && user.auth_method === 'session') location.assign(href('login'));
    }
  };
  const button = (texts, path) => html`
    <button
      type="button"
      class="btn"
      disabled=${!!denialReason('view')}
      title=${denialReason('view') || null}
      onClick=${() => end(texts, path)}
    >
      ${texts.button}
    </button>
  `;
  return html`
    ${user.auth_method === 'session' && button(S.endOwnSessions, 'sessions')}
    ${hasPermission('tokens') && button(S.endAllSessions, 'sessions?all_users=true')}
  `;
}

/** Permissions that only actions require, which the server can refuse altogether. */
const ACTIONS = new Set(['tasks', 'workers', 'searches', 'tokens']);

/** What the user can do: the permissions, except those that have no effect, with the reason. */
function Rights({ permissions }) {
  const order = Object.keys(S.permissionNames);
  const sorted = permissions.toSorted((a, b) => order.indexOf(a) - order.indexOf(b));
  const why = (each) => (ACTIONS.has(each) ? denialReason(each) : '');
  const name = (each) => S.permissionNames[each] ?? line(each);
  const refused = sorted.filter(why);
  return html`
    <ul>
      ${sorted.filter((each) => !why(each)).map((each) => html`<li>${name(each)}</li>`)}
    </ul>
    ${
      refused.length > 0 &&
      html`
        <p class="muted">${S.noEffect(refused.map(name).join(', '))} ${why(refused[0])}</p>
      `
    }
  `;
}
