// One bulk job: how far it is, what became of each task.

import { apiAddress, get, post } from '../api.js';
import { denialReason } from '../currentUser.js';
import { compact, duration, int, rate } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { finishedCount, jobStateText, OUTCOMES, Outcome, Progress } from '../job/components.js';
import { html, useEffect, useState } from '../lib.js';
import { encodeSegment, href, searchAddress, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import { T } from '../strings.js';
import { Fact, RowTime, Segmented, TaskLink, Time } from '../ui/components.js';
import { confirmAction } from '../ui/dialog.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { notifyResult, useRerender } from '../ui/operationsComponents.js';
import { EmptyState, Loaded } from '../ui/panels.js';
import { toastProblem } from '../ui/toast.js';
import { useResource } from '../useResource.js';

const J = T.jobs;
const PAGE = 200;

export default function Job({ id, query }) {
  const [ended, setEnded] = useState(false);
  const job = useResource((signal) => get(`jobs/${encodeSegment(id)}`, {}, { signal }), [id], {
    every: ended ? 0 : 1,
  });
  const it = job.data;
  useEffect(() => {
    if (it && it.state !== 'running') setEnded(true);
  }, [it?.state]);
  useRerender(ended ? 60 : 1);
  const crumb = html`
    <nav class="crumb" aria-label=${J.crumb}>
      <a href=${href('jobs')}>${J.crumb}</a>
    </nav>
  `;
  if (job.problem?.status === 404)
    return html`
      <${Page} title=${J.unknown(id)} live=${false}>
        <${EmptyState}
          title=${J.unknown(visible(id.slice(0, 200)))}
          actions=${html`<a class="btn" href=${href('jobs')}>
              ${T.pages.jobs}
            </a>`}
        >
          <p>${J.unknownText}</p>
        </${EmptyState}>
      </${Page}>
    `;
  const title = it ? J.title(J.actions[it.action], it.total) : J.crumb;
  return html`
    <${Page}
      title=${title}
      crumb=${crumb}
      live=${false}
      actions=${it && html`<${Actions} job=${it} reload=${job.reload} />`}
    >
      <div class="wrap">
        <${Loaded} of=${{ ...job, slow: job.slow && !it }}>
          ${(told) => html`
            <div class="stack">
              <${Head} job=${told} title=${title} />
              <${Items} job=${told} query=${query} />
            </div>
          `}
        </${Loaded}>
      </div>
    </${Page}>
  `;
}

function Actions({ job, reload }) {
  const why = job.state !== 'running' ? J.over : job.aborting ? J.aborting : denialReason('tasks');
  const abort = async () => {
    if (
      await confirmAction({
        title: J.abortTitle,
        text: J.abortText,
        verb: J.abortVerb,
        keep: J.keep,
        facts: [
          [J.outcome.waiting, int(job.outcomes.waiting ?? 0)],
          [J.outcome.done, int(job.outcomes.done ?? 0)],
        ],
      })
    ) {
      await notifyResult(post(`jobs/${encodeSegment(job.id)}/abort`), () => J.abortDone);
      reload();
    }
  };
  const files = ['csv', 'ndjson'].map((format) => [
    T.ops[format],
    apiAddress(`jobs/${encodeSegment(job.id)}/export`, { format }),
    { icon: 'export', download: true },
  ]);
  return html`
    <button
      type="button"
      class="btn danger"
      disabled=${!!why}
      title=${why || null}
      onClick=${abort}
    >
      <${Icon} n="stop" />
      <span>${J.abort}</span>
    </button>
    <${Popover} label=${T.ops.export} icon="export" text=${T.ops.export} quiet=${false} end>
      ${(close) => html`<${MenuItems} close=${close} items=${files} />`}
    </${Popover}>
  `;
}

function Head({ job, title }) {
  const F = J.facts;
  const took = (job.ended ?? Date.now() / 1000) - job.created;
  const left = job.total - finishedCount(job);
  return html`
    <section class="panel" aria-label=${title}>
      <div class="headline">
        <h1>${title}</h1>
      </div>
      <div class="pad">
        <${Progress} of=${job} />
      </div>
      <dl class="facts">
        <${Fact} name=${F.state}>${jobStateText(job)}</${Fact}>
        <${Fact} name=${F.by}>${job.by ? line(job.by, 60) : T.audit.nobody}</${Fact}>
        <${Fact} name=${F.started}>
          <${Time} at=${job.created} natural=${false} />
        </${Fact}>
        <${Fact} name=${F.took}>${duration(took)}</${Fact}>
        ${
          job.state === 'running' &&
          left > 0 &&
          html`<${Fact} name=${F.left}>${J.atLeast(duration(left / job.rate))}</${Fact}>`
        }
        <${Fact} name=${F.rate}>${rate(job.rate)}</${Fact}>
        ${job.signal && html`<${Fact} name=${F.signal}>${line(job.signal, 30)}</${Fact}>`}
      </dl>
      ${
        job.query &&
        html`
          <p class="pad small">
            <span class="muted">${F.tasks}</span>${' '}
            <a class="mono link" href=${searchAddress(job.query)}>
              ${line(job.query)}
            </a>
          </p>
        `
      }
    </section>
  `;
}

/** The list is read again while the job runs, as far as it was opened. */
function Items({ job, query }) {
  const outcome = OUTCOMES.includes(query.get('outcome') ?? '') ? query.get('outcome') : '';
  const done = finishedCount(job);
  const [more, setMore] = useState(/** @type {any[]} */ ([]));
  const [next, setNext] = useState(/** @type {number | null} */ (null));
  const first = useResource(
    (signal) =>
      get(
        `jobs/${encodeSegment(job.id)}/tasks`,
        { outcome: outcome || null, limit: PAGE },
        { signal },
      ),
    [job.id, outcome, done, job.state],
  );
  useEffect(() => {
    setMore([]);
    setNext(null);
  }, [outcome, done]);
  const from = next ?? first.data?.next ?? null;
  const read = () =>
    get(`jobs/${encodeSegment(job.id)}/tasks`, {
      outcome: outcome || null,
      limit: PAGE,
      after: from,
    }).then((told) => {
      setMore((all) => [...all, ...told.items]);
      setNext(told.items.length < PAGE ? -1 : told.next);
    }, toastProblem);
  const word = (each) => `${J.outcome[each]} ${compact(job.outcomes[each] ?? 0)}`;
  const choices = [
    ['', T.ops.all],
    ...OUTCOMES.filter((each) => job.outcomes[each] || each === outcome).map((each) => [
      each,
      word(each),
    ]),
  ];
  return html`
    <section class="panel" aria-label=${J.items}>
      <header class="tools">
        <h2>${J.items}</h2>
        <span class="sp"></span>
        <${Segmented}
          label=${J.outcomes}
          items=${choices}
          value=${outcome}
          onPick=${(key) => setQuery({ outcome: key })}
        />
      </header>
      <${Loaded} of=${{ ...first, slow: first.slow && !first.data }}>
        ${(data) => html`
          <${Table} items=${[...data.items, ...more]} />
          ${
            data.items.length >= PAGE &&
            from != null &&
            from >= 0 &&
            html`
              <p class="pad">
                <button type="button" class="btn" onClick=${read}>
                  ${T.ops.more}
                </button>
              </p>
            `
          }
        `}
      </${Loaded}>
    </section>
  `;
}

function Table({ items }) {
  if (!items.length) return html`<p class="pad muted">${J.noItems}</p>`;
  return html`
    <div class="scroll">
      <table class="t log">
        <thead>
          <tr>
            <th>${J.task}</th>
            <th>${J.result}</th>
            <th>${J.message}</th>
            <th>${J.newTask}</th>
            <th class="right">${J.ended}</th>
          </tr>
        </thead>
        <tbody>
          ${items.map(
            (each) => html`
              <tr key=${each.place}>
                <td>
                  <${TaskLink} uuid=${each.task} />
                </td>
                <td>
                  <${Outcome} of=${each.outcome} />
                </td>
                <td class="why">${line(each.message, 240)}</td>
                <td>
                  ${
                    each.new_task && each.outcome === 'done'
                      ? html`<${TaskLink} uuid=${each.new_task} short />`
                      : ''
                  }
                </td>
                <td class="right">
                  <${RowTime} at=${each.ended ?? each.begun} />
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
