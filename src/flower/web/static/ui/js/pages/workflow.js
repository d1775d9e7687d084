// The page of one workflow: its graph and a waterfall of all its tasks.

import { get } from '../api.js';
import { duration, int } from '../format/numbers.js';
import { nameParts, visible } from '../format/text.js';
import { full } from '../format/time.js';
import { html } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { Graph, Waterfall } from '../task/graph.js';
import { CopyButton, Fact, FINAL_STATES, quoteValue, TaskState } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { EmptyState, ErrorPanel, Panel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';
import { Progress, WorkflowState } from '../workflow/progress.js';

const MAX_TASKS = 2000;
/** Number of tasks above which the graph is not drawn, because it is unreadable. */
const MAX_GRAPH_TASKS = 400;

const Crumb = ({ name = '' }) => html`
  <nav class="crumb" aria-label=${T.nav.breadcrumb}>
    <a href=${href('workflows')}>${T.pages.workflows}</a>
    ${
      name &&
      html`
        <${Icon} name="right" />
        <span class="trunc">${visible(name.slice(0, 160))}</span>
      `
    }
  </nav>
`;

/** @param {any} workflow response of `GET /tasks/{uuid}/workflow` */
function countTasks({ states }) {
  const sum = (pick) =>
    Object.entries(states).reduce((all, [state, n]) => all + (pick(state) ? n : 0), 0);
  return {
    task_count: sum(() => true),
    finished_count: sum((each) => FINAL_STATES.has(each)),
    failed_count: states.FAILURE ?? 0,
    running_count: states.STARTED ?? 0,
  };
}

export default function Workflow({ id }) {
  const refresh = useRefreshTimer(30);
  const workflow = useResource(
    (signal) => get(`tasks/${encodeSegment(id)}/workflow`, { limit: MAX_TASKS }, { signal }),
    [id, refresh],
  );
  useLiveStream({ topics: ['status'] }, { reset: workflow.reload });
  if (workflow.problem?.status === 404)
    return html`
      <${Page} title=${T.workflows.notFound} crumb=${html`<${Crumb} />`}>
        <${EmptyState}
          page
          title=${T.workflows.notFound}
          art="tasks"
          actions=${html`
            <a class="btn" href=${href('workflows')}>
              ${T.workflows.all}
            </a>
            <a class="btn quiet" href=${searchAddress(`root_id:=${quoteValue(id.slice(0, 200))}`)}>
              ${T.viewTasks}
            </a>
          `}
        >
          <p>${T.task.notFoundText}</p>
        </${EmptyState}>
      </${Page}>
    `;
  if (!workflow.data)
    return html`
      <${Page} title=${T.pages.workflows} crumb=${html`<${Crumb} />`}>
        <div class="wrap">
          ${
            workflow.problem
              ? html`<${ErrorPanel} problem=${workflow.problem} onRetry=${workflow.reload} />`
              : workflow.slow && html`<${Skeleton} widths=${[50, 30, 80, 70]} />`
          }
        </div>
      </${Page}>
    `;
  const {
    nodes,
    root_id: rootId,
    started_at: startedAt,
    ended_at: endedAt,
    states,
    partial,
  } = workflow.data;
  const root = nodes.find((each) => each.uuid === (rootId ?? id)) ?? nodes[0];
  const counts = countTasks(workflow.data);
  const name = root?.name ?? T.unknownName;
  const [module, last] = nameParts(name);
  const all = searchAddress(`root_id:=${quoteValue(rootId ?? id)}`);
  return html`
    <${Page}
      title=${`${name} ${id.slice(0, 8)}`}
      crumb=${html`<${Crumb} name=${name} />`}
      actions=${html`<a class="btn" href=${all}>
          <${Icon} name="tasks" />
          <span>${T.viewTasks}</span>
        </a>`}
    >
      <div class="wrap workflow">
        ${
          workflow.problem &&
          html`<${ErrorPanel} problem=${workflow.problem} onRetry=${workflow.reload} />`
        }
        <div class="dt-head">
          <div class="l1">
            <${WorkflowState} of=${counts} lg />
            <h1>
              <span class="mod">${module}</span>
              ${last}
            </h1>
          </div>
          <div class="l2">
            <a class="mono id" href=${href(`task/${encodeSegment(id)}`)}>
              ${visible(id)}
            </a>
            <${CopyButton} text=${id} />
            ${
              startedAt != null &&
              html`
                <span class="muted">
                  ${T.workflows.started} ${full(startedAt)}
                </span>
              `
            }
          </div>
        </div>
        <dl class="panel facts">
          <${Fact} name=${T.workflows.columns.progress}>
            <${Progress} of=${counts} />
          </${Fact}>
          <${Fact} name=${T.workflows.columns.duration}>
            ${startedAt == null || endedAt == null ? '–' : duration(endedAt - startedAt)}
          </${Fact}>
          <${Fact} name=${T.workflows.tasks}>${int(counts.task_count)}</${Fact}>
          <${Fact} name=${T.workflows.taskStates}>
            <span class="states">
              ${Object.entries(states).map(
                ([state, n]) => html`
                  <a href=${searchAddress(`root_id:=${quoteValue(rootId ?? id)} state:${state}`)}>
                    <${TaskState} state=${state} /> ${int(n)}
                  </a>
                `,
              )}
            </span>
          </${Fact}>
        </dl>
        ${partial && html`<p class="muted small">${partial}</p>`}
        <div class="flow">
          <${Panel} title=${T.task.graph}>
            ${
              nodes.length > MAX_GRAPH_TASKS
                ? html`<p class="muted pad16">${T.workflows.tooMany(int(nodes.length))}</p>`
                : html`<${Graph} nodes=${nodes} uuid=${''} />`
            }
          </${Panel}>
          <${Panel} title=${T.task.waterfall}>
            <${Waterfall} workflow=${workflow.data} uuid=${''} limit=${MAX_TASKS} />
          </${Panel}>
        </div>
      </div>
    </${Page}>
  `;
}
