// The page of one task: facts, attempts, exception, arguments and result, workflow, delivery, events,
// actions.

import { apiAddress, get } from '../api.js';
import { bootstrapData } from '../bootstrapData.js';
import { denialReason } from '../currentUser.js';
import { duration, int } from '../format/numbers.js';
import { line, nameParts, visible } from '../format/text.js';
import { clock, full } from '../format/time.js';
import { useKeyboardShortcuts } from '../keyboardShortcuts.js';
import { html, useEffect, useState } from '../lib.js';
import { status, useLiveStream } from '../liveStream.js';
import { retentionText } from '../retention.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { quoteValue } from '../search/queryText.js';
import { GapNotice, Page } from '../shell/page.js';
import { T } from '../strings.js';
import { openEditDialog, openRerunDialog, stopTask } from '../task/actions.js';
import { listEvents } from '../task/attempts.js';
import { buildLogUrl, formatCurl, formatPythonCall } from '../task/copyFormats.js';
import { Graph, Waterfall } from '../task/graph.js';
import { Payload } from '../task/payload.js';
import { openAdjacentTask } from '../task/prevNext.js';
import { Timeline, TimelineLegend } from '../task/timeline.js';
import { Failure } from '../task/traceback.js';
import {
  CopyButton,
  copyText,
  Fact,
  FINAL_STATES,
  Segmented,
  TaskLink,
  TaskState,
  Time,
  WorkerLink,
} from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { EmptyState, ErrorPanel, Panel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const SIBLINGS = 8;
/** Seconds between refreshes of a workflow that is running. */
const WORKFLOW_INTERVAL = 4;

function NotFound({ id }) {
  return html`
    <${Page} title=${T.task.notFound} crumb=${html`<${Crumb} />`} live=${false}>
      <${EmptyState}
        page
        art="tasks"
        title=${T.task.notFound}
        actions=${html`
          <a class="btn" href=${searchAddress(`uuid:${quoteValue(id.slice(0, 200))}`)}>
            ${T.task.searchId}
          </a>
          <a class="btn quiet" href=${searchAddress(quoteValue(id.slice(0, 200)))}>
            ${T.task.searchText}
          </a>
        `}
      >
        <p class="mono">${visible(id.slice(0, 200))}</p>
        <p>
          ${T.task.notFoundText} ${retentionText()}
        </p>
      </${EmptyState}>
    </${Page}>
  `;
}

const Crumb = ({ name = '' }) => html`
  <nav class="crumb" aria-label=${T.nav.breadcrumb}>
    <a href=${href('tasks')}>${T.tasks.title}</a>
    ${
      name &&
      html`
        <${Icon} name="right" />
        <a href=${searchAddress(`name:=${quoteValue(name)}`)}>${line(name, 160)}</a>
      `
    }
  </nav>
`;

/** The current time, updated every second while `on`. @param {boolean} on */
function useNow(on) {
  const [now, setNow] = useState(Date.now() / 1000);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => setNow(Date.now() / 1000), 1000);
    return () => clearInterval(timer);
  }, [on]);
  return on ? now : Date.now() / 1000;
}

function Facts({ task, now }) {
  const isFinished = FINAL_STATES.has(task.state);
  const queuedAt = task.sent_at ?? task.received_at;
  const attempts = task.attempts?.length ?? 0;
  const waited =
    task.attempts?.[0]?.started_at != null && queuedAt != null
      ? Math.max(0, task.attempts[0].started_at - queuedAt)
      : task.wait;
  const last = task.attempts?.[attempts - 1];
  const ran =
    task.runtime ??
    last?.runtime ??
    (last?.started_at != null && last.ended_at != null ? last.ended_at - last.started_at : null);
  return html`
    <dl class="panel facts">
      ${
        task.state === 'STARTED' && task.started_at != null
          ? html`<${Fact} name=${T.task.facts.running}>${duration(
              Math.max(0, now - task.started_at),
            )}</${Fact}>`
          : html`
            <${Fact} name=${attempts > 1 ? T.task.facts.runtimeLast : T.task.facts.runtime}>
              ${duration(ran)}
            </${Fact}>
          `
      }
      ${
        !isFinished && task.started_at == null && queuedAt != null
          ? html`<${Fact} name=${T.task.facts.waiting}>${duration(
              Math.max(0, now - queuedAt),
            )}</${Fact}>`
          : html`<${Fact} name=${T.task.facts.waited}>${duration(waited)}</${Fact}>`
      }
      ${
        isFinished &&
        queuedAt != null &&
        html`<${Fact} name=${T.task.facts.total}>${duration(task.last_event_at - queuedAt)}</${Fact}>`
      }
      <${Fact} name=${T.task.facts.attempts}>
        ${int(Math.max(attempts, (task.retries ?? 0) + 1))}
      </${Fact}>
      <${Fact} name=${T.task.facts.worker}>
        <${WorkerLink} name=${task.worker} />
      </${Fact}>
      <${Fact} name=${T.task.facts.queue}>
        ${
          task.queue
            ? html`<a href=${searchAddress(`queue:=${quoteValue(task.queue)}`)}>${line(task.queue)}</a>`
            : '–'
        }
      </${Fact}>
    </dl>
  `;
}

function Workflow({ task, workflow }) {
  const [view, setView] = useState('graph');
  if (workflow.problem && !workflow.data)
    return html`
      <${Panel} title=${T.task.workflow}>
        <${ErrorPanel} problem=${workflow.problem} onRetry=${workflow.reload} />
      </${Panel}>
    `;
  if (!workflow.data)
    return html`
      <${Panel} title=${T.task.workflow}>
        <${Skeleton} />
      </${Panel}>
    `;
  const { nodes, siblings, partial } = workflow.data;
  if (nodes.length < 2)
    return html`
      <${Panel} title=${T.task.workflow}>
        <p class="muted pad16">${T.task.alone}</p>
      </${Panel}>
    `;
  const known = new Map(nodes.map((node) => [node.uuid, node]));
  return html`
    <${Panel}
      title=${T.task.workflow}
      end=${html`
        <${Segmented}
          label=${T.task.workflow}
          items=${[['graph', T.task.graph], ['waterfall', T.task.waterfall]]}
          value=${view}
          onPick=${setView}
        />
        <a href=${href(`workflows/${encodeSegment(workflow.data.root_id ?? task.uuid)}`)}>
          ${T.task.openWorkflow}
        </a>
      `}
    >
      ${
        view === 'graph'
          ? html`<${Graph} nodes=${nodes} uuid=${task.uuid} />`
          : html`<${Waterfall} workflow=${workflow.data} uuid=${task.uuid} />`
      }
      ${partial && html`<p class="muted pad16 small">${partial}</p>`}
      ${
        siblings.length > 0 &&
        html`
          <div class="sibs">
            <h3 title=${T.task.siblingsHint}>
              ${T.task.siblings} <span class="muted">${int(siblings.length)}</span>
            </h3>
            <ul>
              ${siblings.slice(0, SIBLINGS).map(
                (uuid) => html`
                  <li>
                    <a href=${href(`task/${encodeSegment(uuid)}`)}>
                      ${
                        known.get(uuid)
                          ? html`
                            <${TaskState} state=${known.get(uuid).state} />${' '}
                            <span class="trunc">${line(known.get(uuid).name ?? uuid, 80)}</span>
                            <span class="num muted">${duration(known.get(uuid).runtime)}</span>
                          `
                          : html`<span class="mono trunc">${line(uuid, 60)}</span>`
                      }
                    </a>
                  </li>
                `,
              )}
            </ul>
            ${
              siblings.length > SIBLINGS &&
              task.parent_id &&
              html`
                <a class="link small" href=${searchAddress(`parent_id:=${quoteValue(task.parent_id)}`)}>
                  ${T.tasks.showMore(siblings.length - SIBLINGS)}
                </a>
              `
            }
          </div>
        `
      }
    </${Panel}>
  `;
}

function Delivery({ task }) {
  const rows = [
    'routing_key',
    'exchange',
    'priority',
    'eta',
    'expires',
    'client',
    'pid',
    'clock',
  ].filter((key) => task[key] != null && task[key] !== '');
  const links = ['parent_id', 'root_id'].filter((key) => task[key] && task[key] !== task.uuid);
  if (!rows.length && !links.length) return null;
  return html`
    <${Panel} title=${T.task.delivery}>
      <dl class="meta">
        ${rows.map(
          (key) => html`
            <dt>${T.task.fields[key]}</dt>
            <dd class="mono">${line(task[key], 300)}</dd>
          `,
        )}
        ${links.map(
          (key) => html`
            <dt>${T.task.fields[key]}</dt>
            <dd>
              <${TaskLink} uuid=${task[key]} />
            </dd>
          `,
        )}
      </dl>
    </${Panel}>
  `;
}

function Reruns({ reruns }) {
  if (!reruns?.origin && !reruns?.reruns?.length) return null;
  const details = (each) => html`
    <span class="muted small">
      ${' '}
      <${Time} at=${each.created_at} />
      ${each.created_by ? ` ${T.task.by(line(each.created_by, 60))}` : ''}
      ${each.edited ? `, ${T.task.edited}` : ''}
    </span>
  `;
  return html`
    <${Panel} title=${T.task.reruns}>
      <dl class="meta">
        ${
          reruns.origin &&
          html`
            <dt>${T.task.rerunOf}</dt>
            <dd>
              <${TaskLink} uuid=${reruns.origin.origin} short />
              ${details(reruns.origin)}
            </dd>
          `
        }
        ${reruns.reruns.map(
          (each) => html`
            <dt>${T.task.rerunAs}</dt>
            <dd>
              <${TaskLink} uuid=${each.task} short />
              ${details(each)}
            </dd>
          `,
        )}
      </dl>
    </${Panel}>
  `;
}

const TONES = { failed: 'bad', retried: 'warn' };

function Events({ task }) {
  const all = listEvents(task);
  if (!all.length) return null;
  return html`
    <${Panel} title=${T.task.events} end=${html`<span class="muted small">${int(all.length)}</span>`}>
      <table class="t ev">
        <tbody>
          ${all.slice(-200).map(
            ([at, type, note]) => html`
              <tr>
                <td class="mono muted" title=${full(at)}>
                  ${clock(at, true)}
                </td>
                <td class=${TONES[type] ?? ''}>${type}</td>
                <td class="muted trunc">${line(note, 80)}</td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </${Panel}>
  `;
}

function Actions({ task, reload }) {
  const why = denialReason('tasks');
  const finished = FINAL_STATES.has(task.state) ? T.task.finished : '';
  const logs = buildLogUrl(bootstrapData.log_url, task);
  const rerunUrl = new URL(href(`api/v1/tasks/${encodeSegment(task.uuid)}/rerun`), location.href)
    .href;
  return html`
    ${
      logs &&
      html`
        <a class="btn" href=${logs} target="_blank" rel="noreferrer">
          <${Icon} name="external" />
          <span>${T.task.logs}</span>
        </a>
      `
    }
    <button
      type="button"
      class="btn"
      disabled=${!!why}
      title=${why || null}
      onClick=${() => openRerunDialog(task, reload)}
    >
      <${Icon} name="retry" />
      <span>${T.task.rerun}</span>
    </button>
    <button
      type="button"
      class="btn"
      disabled=${!!why}
      title=${why || null}
      onClick=${() => openEditDialog(task, reload)}
    >
      <${Icon} name="edit" />
      <span>${T.task.edit}</span>
    </button>
    <${Popover} label=${T.more} icon="more" quiet=${false} end>
      ${(close) => html`
        <${MenuItems}
          close=${close}
          items=${[
            [
              T.task.revoke,
              () => stopTask('revoke', task, reload),
              { icon: 'stop', why: why || finished, danger: true },
            ],
            [
              T.task.terminate,
              () => stopTask('terminate', task, reload),
              { icon: 'bolt', why: why || finished, danger: true },
            ],
            [
              T.task.abort,
              () => stopTask('abort', task, reload),
              { icon: 'x', why: why || finished },
            ],
            [T.task.python, () => copyText(formatPythonCall(task), 'Python'), { icon: 'copy' }],
            [T.task.curl, () => copyText(formatCurl(task, rerunUrl), 'curl'), { icon: 'copy' }],
            [T.task.link, () => copyText(location.href, T.copy.link), { icon: 'copy' }],
            [
              T.task.record,
              apiAddress(`tasks/${encodeSegment(task.uuid)}`),
              { icon: 'external', target: '_blank' },
            ],
          ]}
        />
      `}
    </${Popover}>
  `;
}

export default function Task({ id }) {
  const task = useResource(
    (signal) => get(`tasks/${encodeSegment(id)}`, { include_values: true }, { signal }),
    [id],
  );
  const isFinished = FINAL_STATES.has(task.data?.state);
  const workflow = useResource(
    (signal) => get(`tasks/${encodeSegment(id)}/workflow`, {}, { signal }),
    [id, task.data?.state],
    { skip: !task.data, every: isFinished ? 0 : WORKFLOW_INTERVAL },
  );
  const reruns = useResource(
    (signal) => get(`tasks/${encodeSegment(id)}/reruns`, {}, { signal }),
    [id, task.data?.state],
    { skip: !task.data },
  );
  const now = useNow(!!task.data && !isFinished);
  useLiveStream(
    {
      query: `uuid:=${quoteValue(id.slice(0, 500))}`,
      columns: ['state', 'last_event_at'],
      topics: ['tasks', 'status'],
    },
    {
      tasks: (batch) => {
        if (batch.tasks.some((each) => each.uuid === id) || batch.more) task.reload();
      },
      reset: task.reload,
    },
  );
  // Without a stream, the status shows that something changed.
  useEffect(() => {
    if (task.data && !isFinished && status.value) task.reload();
  }, [status.value?.store?.sequence]);
  const reload = () => {
    task.reload();
    reruns.reload();
  };
  const isAllowed = () => task.data && !denialReason('tasks');
  useKeyboardShortcuts({
    '[': () => {
      if (task.data) openAdjacentTask(task.data, -1);
    },
    ']': () => {
      if (task.data) openAdjacentTask(task.data, 1);
    },
    y: () => copyText(id, T.copy.id),
    Y: () => copyText(location.href, T.copy.link),
    r: () => {
      if (isAllowed()) openRerunDialog(task.data, reload);
    },
    v: () => {
      if (isAllowed() && !isFinished) stopTask('revoke', task.data, reload);
    },
  });
  useEffect(() => {
    if (task.data && !performance.getEntriesByName('page-ready').length)
      requestAnimationFrame(() => performance.mark('page-ready'));
  }, [task.data]);
  if (task.problem?.status === 404 && !task.data) return html`<${NotFound} id=${id} />`;
  if (!task.data)
    return html`
      <${Page} title=${id.slice(0, 60)} crumb=${html`<${Crumb} />`}>
        <div class="wrap">
          ${
            task.problem
              ? html`<${ErrorPanel} problem=${task.problem} onRetry=${task.reload} />`
              : task.slow && html`<${Skeleton} widths=${[40, 25, 70, 55, 60]} />`
          }
        </div>
      </${Page}>
    `;
  const data = task.data;
  const [module, name] = nameParts(data.name ?? '');
  const when = data.received_at ?? data.sent_at;
  return html`
    <${Page}
      title=${`${data.name ?? T.unknownName} ${id.slice(0, 8)}`}
      crumb=${html`<${Crumb} name=${data.name ?? ''} />`}
      actions=${html`<${Actions} task=${data} reload=${reload} />`}
    >
      <div class="wrap task">
        <${GapNotice} />
        <div class="dt-head">
          <div class="l1">
            <${TaskState} state=${data.state} lg />
            <h1>
              ${
                data.name
                  ? html`
                    <span class="mod">${module}</span>
                    ${name}
                  `
                  : T.unknownName
              }
            </h1>
          </div>
          <div class="l2">
            <span class="mono id">${visible(id)}</span>
            <${CopyButton} text=${id} />
            ${
              when != null &&
              html`
                <span class="muted">
                  ${data.received_at != null ? T.task.received : T.task.sent}${' '}
                  <time title=${`${new Date(when * 1000).toJSON()}`}>${full(when)}</time>
                  ${data.client ? ` · ${T.task.by(line(data.client, 80))}` : ''}
                </span>
              `
            }
          </div>
        </div>
        ${task.problem && html`<${ErrorPanel} problem=${task.problem} onRetry=${task.reload} />`}
        <${Facts} task=${data} now=${now} />
        <div class="dt">
          <div class="stack">
            <${Panel} title=${T.task.timeline} end=${html`<${TimelineLegend} />`}>
              <${Timeline} task=${data} now=${now} />
            </${Panel}>
            <${Failure} task=${data} />
            <${Payload} key=${id} task=${data} />
          </div>
          <div class="stack">
            <${Workflow} task=${data} workflow=${workflow} />
            <${Reruns} reruns=${reruns.data} />
            <${Delivery} task=${data} />
            <${Events} task=${data} />
          </div>
        </div>
      </div>
    </${Page}>
  `;
}
