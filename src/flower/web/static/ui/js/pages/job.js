// The page of one bulk job: progress and the outcome of each task.

import { apiAddress, get, post } from '../api.js';
import { denialReason } from '../currentUser.js';
import { compact, duration, int, rate } from '../format/numbers.js';
import { line } from '../format/text.js';
import { finishedCount, jobStateText, OUTCOMES, Outcome, Progress } from '../job/components.js';
import { html, useEffect, useState } from '../lib.js';
import { encodeSegment, href, searchAddress, setQuery } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
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
  const [isFinished, setFinished] = useState(false);
  const job = useResource((signal) => get(`jobs/${encodeSegment(id)}`, {}, { signal }), [id], {
    every: isFinished ? 0 : 1,
  });
  const data = job.data;
  useEffect(() => {
    if (data && data.state !== 'running') setFinished(true);
  }, [data?.state]);
  useRerender(isFinished ? 60 : 1);
  const crumb = html`
    <nav class="crumb" aria-label=${J.crumb}>
      <a href=${href('jobs')}>${J.crumb}</a>
    </nav>
  `;
  if (job.problem?.status === 404)
    return html`
      <${Page} title=${J.notFound} live=${false}>
        <${EmptyState}
          title=${J.notFound}
          actions=${html`<a class="btn" href=${href('jobs')}>
              ${T.pages.jobs}
            </a>`}
        >
          <p>${J.notFoundText}</p>
        </${EmptyState}>
      </${Page}>
    `;
  const title = data ? J.title(J.actions[data.action], data.total) : J.crumb;
  return html`
    <${Page}
      title=${title}
      crumb=${crumb}
      live=${false}
      actions=${data && html`<${Actions} job=${data} reload=${job.reload} />`}
    >
      <div class="wrap">
        <${Loaded} of=${{ ...job, slow: job.slow && !data }}>
          ${(loaded) => html`
            <div class="stack">
              <${Head} job=${loaded} title=${title} />
              <${Items} job=${loaded} query=${query} />
            </div>
          `}
        </${Loaded}>
      </div>
    </${Page}>
  `;
}

function Actions({ job, reload }) {
  const why =
    job.state !== 'running' ? J.alreadyFinished : job.stopping ? J.stopping : denialReason('tasks');
  const stop = async () => {
    if (
      await confirmAction({
        title: J.stopTitle,
        text: J.stopText,
        verb: J.stopVerb,
        facts: [
          [J.outcomes.waiting, int(job.outcomes.waiting ?? 0)],
          [J.outcomes.done, int(job.outcomes.done ?? 0)],
        ],
      })
    ) {
      await notifyResult(post(`jobs/${encodeSegment(job.id)}/stop`), () => J.stopRequested);
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
      onClick=${stop}
    >
      <${Icon} name="stop" />
      <span>${J.stop}</span>
    </button>
    <${Popover} label=${T.ops.export} icon="export" text=${T.ops.export} quiet=${false} end>
      ${(close) => html`<${MenuItems} close=${close} items=${files} />`}
    </${Popover}>
  `;
}

function Head({ job, title }) {
  const F = J.facts;
  const took = (job.finished_at ?? Date.now() / 1000) - job.created_at;
  const remaining = job.total - finishedCount(job);
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
        <${Fact} name=${F.createdBy}>${job.created_by ? line(job.created_by, 60) : T.anonymous}</${Fact}>
        <${Fact} name=${F.started}>
          <${Time} at=${job.created_at} natural=${false} />
        </${Fact}>
        <${Fact} name=${F.duration}>${duration(took)}</${Fact}>
        ${
          job.state === 'running' &&
          remaining > 0 &&
          html`<${Fact} name=${F.remaining}>${J.atLeast(duration(remaining / job.rate))}</${Fact}>`
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

/** The items of a job; the first page is loaded again while the job runs. */
function Items({ job, query }) {
  const outcome = OUTCOMES.includes(query.get('outcome') ?? '') ? query.get('outcome') : '';
  const finished = finishedCount(job);
  const [more, setMore] = useState(/** @type {any[]} */ ([]));
  const [next, setNext] = useState(/** @type {string | null | undefined} */ (undefined));
  const first = useResource(
    (signal) =>
      get(
        `jobs/${encodeSegment(job.id)}/items`,
        { outcome: outcome || null, limit: PAGE },
        { signal },
      ),
    [job.id, outcome, finished, job.state],
  );
  useEffect(() => {
    setMore([]);
    setNext(undefined);
  }, [outcome, finished]);
  const cursor = next === undefined ? (first.data?.next_cursor ?? null) : next;
  const loadMore = () =>
    get(`jobs/${encodeSegment(job.id)}/items`, {
      outcome: outcome || null,
      limit: PAGE,
      cursor,
    }).then((response) => {
      setMore((all) => [...all, ...response.items]);
      setNext(response.next_cursor);
    }, toastProblem);
  const label = (each) => `${J.outcomes[each]} ${compact(job.outcomes[each] ?? 0)}`;
  const choices = [
    ['', T.ops.all],
    ...OUTCOMES.filter((each) => job.outcomes[each] || each === outcome).map((each) => [
      each,
      label(each),
    ]),
  ];
  return html`
    <section class="panel" aria-label=${J.items}>
      <header class="tools">
        <h2>${J.items}</h2>
        <span class="sp"></span>
        <${Segmented}
          label=${J.outcomeLabel}
          items=${choices}
          value=${outcome}
          onPick=${(key) => setQuery({ outcome: key })}
        />
      </header>
      <${Loaded} of=${{ ...first, slow: first.slow && !first.data }}>
        ${(data) => html`
          <${Table} items=${[...data.items, ...more]} />
          ${
            cursor !== null &&
            html`
              <p class="pad">
                <button type="button" class="btn" onClick=${loadMore}>
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
            <th class="right">${J.finished}</th>
          </tr>
        </thead>
        <tbody>
          ${items.map(
            (each) => html`
              <tr key=${each.index}>
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
                  <${RowTime} at=${each.finished_at ?? each.started_at} />
                </td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}
