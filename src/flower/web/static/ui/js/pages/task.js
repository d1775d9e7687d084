// The page of one task: facts, attempts, exception, arguments and result, workflow, delivery, events,
// actions.

import { get } from '../api.js';
import { denialReason } from '../currentUser.js';
import { line, nameParts, visible } from '../format/text.js';
import { full } from '../format/time.js';
import { findTaskGaps, gaps as recordedGaps } from '../gaps.js';
import { useKeyboardShortcuts } from '../keyboardShortcuts.js';
import { html, useEffect, useState } from '../lib.js';
import { status, useLiveStream } from '../liveStream.js';
import { retentionText } from '../retention.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { quoteValue } from '../search/queryText.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { openRerunDialog, stopTask } from '../task/actions.js';
import { correctTimes } from '../task/clockOffset.js';
import { Delivery, EarlierRuns, Events, Reruns } from '../task/details.js';
import { Facts } from '../task/facts.js';
import { Notices } from '../task/notices.js';
import { Payload } from '../task/payload.js';
import { openAdjacentTask } from '../task/prevNext.js';
import { Timeline, TimelineLegend } from '../task/timeline.js';
import { Toolbar } from '../task/toolbar.js';
import { Failure } from '../task/traceback.js';
import { WorkflowPanel } from '../task/workflowPanel.js';
import { CopyButton, copyText, FINAL_STATES, TaskState } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { EmptyState, ErrorPanel, Panel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';

/** Seconds between refreshes of a workflow that is running. */
const WORKFLOW_INTERVAL = 1.5;

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
  const [isRaw, setIsRaw] = useState(false);
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
  const gaps = task.data.gaps
    ? recordedGaps.value.filter((gap) => task.data.gaps.some((row) => row.id === gap.id))
    : findTaskGaps(recordedGaps.value, task.data, isFinished);
  const data = isRaw ? task.data : correctTimes(task.data);
  const [module, name] = nameParts(data.name ?? '');
  const when = data.received_at ?? data.sent_at;
  return html`
    <${Page}
      title=${`${data.name ?? T.unknownName} ${id.slice(0, 8)}`}
      crumb=${html`<${Crumb} name=${data.name ?? ''} />`}
      actions=${html`<${Toolbar} task=${data} reload=${reload} />`}
    >
      <div class="wrap task">
        <div class="dt-head">
          <div class="l1">
            <${TaskState} state=${data.state} lost=${data.lost} lg />
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
            ${
              data.source &&
              html`
                <span class="source">
                  ${T.task.sources[data.source] ?? T.task.sources.other(line(data.source, 40))}
                </span>
              `
            }
          </div>
        </div>
        ${task.problem && html`<${ErrorPanel} problem=${task.problem} onRetry=${task.reload} />`}
        <${Notices}
          task=${data}
          now=${now}
          gaps=${gaps}
          isRaw=${isRaw}
          onRaw=${() => setIsRaw(!isRaw)}
          reload=${reload}
        />
        <${Facts} task=${data} now=${now} />
        <div class="dt">
          <div class="stack">
            <${Panel} title=${T.task.timeline} end=${html`<${TimelineLegend} />`}>
              <${Timeline} task=${data} now=${now} gaps=${gaps} />
              <${EarlierRuns} task=${data} now=${now} />
            </${Panel}>
            <${Failure} task=${data} />
            <${Payload} key=${id} task=${data} />
          </div>
          <div class="stack">
            <${WorkflowPanel} task=${data} workflow=${workflow} />
            <${Reruns} reruns=${reruns.data} />
            <${Delivery} task=${data} />
            <${Events} task=${data} />
          </div>
        </div>
      </div>
    </${Page}>
  `;
}
