// The audit log page. The filters are in the query string.

import { apiAddress, get } from '../api.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { address, encodeSegment, href, navigate, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { Time } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { formatJson, hasPermission } from '../ui/operationsComponents.js';
import { EmptyState, Loaded } from '../ui/panels.js';
import { toastProblem } from '../ui/toast.js';
import { useResource } from '../useResource.js';

const A = T.audit;
const FILTERS = ['user', 'action', 'target', 'address', 'start', 'end'];
const TARGETS = 2;
const TONE = { done: '', in_progress: 'warn', refused: 'warn', failed: 'bad' };

export default function Audit({ query }) {
  const filters = Object.fromEntries(
    [...FILTERS, 'outcome'].map((key) => [key, query.get(key) ?? '']),
  );
  const isAllowed = hasPermission('audit');
  const key = JSON.stringify(filters);
  const first = useResource(
    (signal) => get('audit', { ...filters, limit: 100 }, { signal }),
    [key],
    {
      skip: !isAllowed,
    },
  );
  const exports = ['csv', 'ndjson'].map((format) => [
    T.ops[format],
    apiAddress('audit/export', { ...filters, format }),
    { icon: 'export', download: true },
  ]);
  if (isAllowed === false)
    return html`
      <${Page} title=${T.pages.audit} live=${false}>
        <${EmptyState} title=${A.deniedTitle}>
          <p>${A.deniedText}</p>
        </${EmptyState}>
      </${Page}>
    `;
  return html`
    <${Page}
      title=${T.pages.audit}
      live=${false}
      actions=${html`
        <button type="button" class="btn" onClick=${first.reload}>
          <${Icon} name="retry" />
          <span>${T.reload}</span>
        </button>
        <${Popover} label=${T.ops.export} icon="export" text=${T.ops.export} quiet=${false} end>
          ${(close) => html`<${MenuItems} close=${close} items=${exports} />`}
        </${Popover}>
      `}
    >
      <div class="wrap">
        <section class="panel" aria-label=${A.entries}>
          <${Filters} filters=${filters} key=${key} />
          <${Loaded} of=${first}>
            ${(data) => html`<${Entries} first=${data} filters=${filters} key=${key + data.entries[0]?.id} />`}
          </${Loaded}>
        </section>
      </div>
    </${Page}>
  `;
}

function Filters({ filters }) {
  const submit = (event) => {
    event.preventDefault();
    setQuery(Object.fromEntries(/** @type {any} */ (new FormData(event.target))));
  };
  const any = Object.values(filters).some(Boolean);
  return html`
    <form class="filters" onSubmit=${submit} aria-label=${A.filters}>
      ${FILTERS.map(
        (name) => html`
          <label class="f">
            ${A.fields[name]}
            <input
              class="field"
              name=${name}
              defaultValue=${filters[name]}
              placeholder=${A.hints[name] ?? ''}
              autocomplete="off"
              spellcheck=${false}
            />
          </label>
        `,
      )}
      <label class="f">
        ${A.fields.outcome}
        <select class="field" name="outcome" value=${filters.outcome}>
          <option value="" selected=${!filters.outcome}>
            ${A.any}
          </option>
          ${Object.entries(A.outcomes).map(
            ([key, label]) => html`
              <option value=${key} selected=${filters.outcome === key}>
                ${label}
              </option>
            `,
          )}
        </select>
      </label>
      <div class="row">
        <button class="btn primary">${A.apply}</button>
        ${
          any &&
          html`
            <button type="button" class="btn quiet" onClick=${() => navigate(address('audit'))}>
              ${T.ops.clear}
            </button>
          `
        }
      </div>
    </form>
  `;
}

/** The first page of entries and those loaded by "Load more". */
function Entries({ first, filters }) {
  const [more, setMore] = useState(/** @type {any[]} */ ([]));
  const [next, setNext] = useState(first.next_cursor);
  const [busy, setBusy] = useState(false);
  const rows = [...first.entries, ...more];
  if (!rows.length)
    return html`
      <${EmptyState} title=${A.noneTitle}>
        <p>${Object.values(filters).some(Boolean) ? A.noneMatch : A.noneText}</p>
      </${EmptyState}>
    `;
  const loadMore = () => {
    setBusy(true);
    get('audit', { ...filters, limit: 100, cursor: next })
      .then((response) => {
        setMore((all) => [...all, ...response.entries]);
        setNext(response.next_cursor);
      }, toastProblem)
      .finally(() => setBusy(false));
  };
  const C = A.columns;
  return html`
    <div class="scroll">
      <table class="t log">
        <thead>
          <tr>
            <th>${C.at}</th>
            <th>${C.user}</th>
            <th>${C.action}</th>
            <th>${C.targets}</th>
            <th>${C.outcome}</th>
            <th>${C.parameters}</th>
            <th>${C.address}</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map((each) => html`<${Row} of=${each} key=${each.id} />`)}
        </tbody>
      </table>
    </div>
    <p class="pad muted">
      ${
        next
          ? html`
            <button type="button" class="btn" disabled=${busy} onClick=${loadMore}>
              ${T.ops.more}
            </button>
          `
          : A.end
      }
    </p>
  `;
}

/** The page of the target of an action; '' if it has none. */
const targetAddress = (action, target) =>
  action.startsWith('worker.')
    ? href(`worker/${encodeSegment(target)}`)
    : action.startsWith('task.')
      ? href(`task/${encodeSegment(target)}`)
      : action.startsWith('job.')
        ? href(
            /^[0-9a-f]{12}$/.test(target)
              ? `jobs/${encodeSegment(target)}`
              : `task/${encodeSegment(target)}`,
          )
        : '';

function Row({ of }) {
  const targets = of.targets.slice(0, TARGETS);
  const parameters = Object.entries(of.parameters)
    .map(([key, value]) => `${key}=${formatJson(value)}`)
    .join(' ');
  return html`
    <tr>
      <td>
        <${Time} at=${of.created_at} natural=${false} />
      </td>
      <td
        class="nm"
        title=${[A.authMethod(of.auth_method), of.token && A.token(of.token)].filter(Boolean).join(', ')}
      >
        ${
          of.user
            ? html`<a href=${address('audit', { user: of.user })}>${line(of.user, 60)}</a>`
            : html`<span class="muted">${T.anonymous}</span>`
        }
      </td>
      <td>
        <a class="mono" href=${address('audit', { action: of.action })}>
          ${line(of.action, 60)}
        </a>
      </td>
      <td class="trunc targets">
        ${targets.map(
          (target, at) => html`
            ${at ? ', ' : ''}
            ${
              targetAddress(of.action, target)
                ? html`
                  <a class="mono link" href=${targetAddress(of.action, target)} title=${line(target)}>
                    ${line(target, 36)}
                  </a>
                `
                : html`<span class="mono">${line(target, 36)}</span>`
            }
          `,
        )}
        ${
          of.target_count > targets.length &&
          html`
            ${' '}
            <span class="muted">${A.moreTargets(of.target_count - targets.length)}</span>
          `
        }
      </td>
      <td>
        <span class=${TONE[of.outcome]} title=${of.outcome === 'in_progress' ? A.inProgressHint : null}>
          ${A.outcomes[of.outcome]}
        </span>
        ${of.message && html`<div class="why small muted">${line(of.message, 240)}</div>`}
      </td>
      <td class="mono trunc query-cell" title=${line(parameters)}>
        ${line(parameters, 160)}
      </td>
      <td class="muted">${line(of.address, 60)}</td>
    </tr>
  `;
}
