// The audit log: who did what, on what, with which outcome. The filters are in the address.

import { apiAddress, get } from '../api.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { address, encodeSegment, href, navigate, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import { T } from '../strings.js';
import { Time } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { formatJson, hasPermission } from '../ui/operationsComponents.js';
import { EmptyState, Loaded } from '../ui/panels.js';
import { toastProblem } from '../ui/toast.js';
import { useResource } from '../useResource.js';

const A = T.audit;
const FILTERS = ['who', 'action', 'target', 'address', 'start', 'end'];
const TARGETS = 2;
const TONE = { done: '', begun: 'warn', refused: 'warn', failed: 'bad' };

export default function Audit({ query }) {
  const asked = Object.fromEntries(
    [...FILTERS, 'outcome'].map((key) => [key, query.get(key) ?? '']),
  );
  const open = hasPermission('audit');
  const key = JSON.stringify(asked);
  const first = useResource((signal) => get('audit', { ...asked, limit: 100 }, { signal }), [key], {
    skip: !open,
  });
  const exports = ['csv', 'ndjson'].map((format) => [
    T.ops[format],
    apiAddress('audit/export', { ...asked, format }),
    { icon: 'export', download: true },
  ]);
  if (open === false)
    return html`
      <${Page} title=${T.pages.audit} live=${false}>
        <${EmptyState} title=${A.closedTitle}>
          <p>${T.may.lacks('audit')}</p>
        </${EmptyState}>
      </${Page}>
    `;
  return html`
    <${Page}
      title=${T.pages.audit}
      live=${false}
      actions=${html`
        <button type="button" class="btn" onClick=${first.reload}>
          <${Icon} n="retry" />
          <span>${T.broken.reload}</span>
        </button>
        <${Popover} label=${T.ops.export} icon="export" text=${T.ops.export} quiet=${false} end>
          ${(close) => html`<${MenuItems} close=${close} items=${exports} />`}
        </${Popover}>
      `}
    >
      <div class="wrap">
        <section class="panel" aria-label=${A.entries}>
          <${Filters} asked=${asked} key=${key} />
          <${Loaded} of=${first}>
            ${(data) => html`<${Entries} first=${data} asked=${asked} key=${key + data.entries[0]?.id} />`}
          </${Loaded}>
        </section>
      </div>
    </${Page}>
  `;
}

function Filters({ asked }) {
  const submit = (event) => {
    event.preventDefault();
    setQuery(Object.fromEntries(/** @type {any} */ (new FormData(event.target))));
  };
  const any = Object.values(asked).some(Boolean);
  return html`
    <form class="filters" onSubmit=${submit} aria-label=${A.filters}>
      ${FILTERS.map(
        (name) => html`
          <label class="f">
            ${A.fields[name]}
            <input
              class="field"
              name=${name}
              defaultValue=${asked[name]}
              placeholder=${A.hints[name] ?? ''}
              autocomplete="off"
              spellcheck=${false}
            />
          </label>
        `,
      )}
      <label class="f">
        ${A.fields.outcome}
        <select class="field" name="outcome" value=${asked.outcome}>
          <option value="" selected=${!asked.outcome}>
            ${A.any}
          </option>
          ${Object.entries(A.outcomes).map(
            ([key, word]) => html`
              <option value=${key} selected=${asked.outcome === key}>
                ${word}
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

/** What was read first, and what came with "more". */
function Entries({ first, asked }) {
  const [more, setMore] = useState(/** @type {any[]} */ ([]));
  const [next, setNext] = useState(first.next);
  const [busy, setBusy] = useState(false);
  const rows = [...first.entries, ...more];
  if (!rows.length)
    return html`
      <${EmptyState} title=${A.noneTitle}>
        <p>${Object.values(asked).some(Boolean) ? A.noneMatch : A.noneText}</p>
      </${EmptyState}>
    `;
  const read = () => {
    setBusy(true);
    get('audit', { ...asked, limit: 100, cursor: next })
      .then((told) => {
        setMore((all) => [...all, ...told.entries]);
        setNext(told.next);
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
            <th>${C.who}</th>
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
            <button type="button" class="btn" disabled=${busy} onClick=${read}>
              ${T.ops.more}
            </button>
          `
          : A.end
      }
    </p>
  `;
}

/** Where what was acted on can be seen. */
const placeOf = (action, target) =>
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
  const asked = Object.entries(of.parameters)
    .map(([key, value]) => `${key}=${formatJson(value)}`)
    .join(' ');
  return html`
    <tr>
      <td>
        <${Time} at=${of.at} natural=${false} />
      </td>
      <td
        class="nm"
        title=${[A.by(of.way), of.token && A.token(of.token)].filter(Boolean).join(', ')}
      >
        ${
          of.who
            ? html`<a href=${address('audit', { who: of.who })}>${line(of.who, 60)}</a>`
            : html`<span class="muted">${A.nobody}</span>`
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
              placeOf(of.action, target)
                ? html`
                  <a class="mono link" href=${placeOf(of.action, target)} title=${line(target)}>
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
        <span class=${TONE[of.outcome]} title=${of.outcome === 'begun' ? A.begunHint : null}>
          ${A.outcomes[of.outcome]}
        </span>
        ${of.message && html`<div class="why small muted">${line(of.message, 240)}</div>`}
      </td>
      <td class="mono trunc asked" title=${line(asked)}>
        ${line(asked, 160)}
      </td>
      <td class="muted">${line(of.address, 60)}</td>
    </tr>
  `;
}
