// One workflow: its graph beside a waterfall of all its tasks.

import { get } from '../api.js';
import { duration, int } from '../format/numbers.js';
import { nameParts, visible } from '../format/text.js';
import { full } from '../format/time.js';
import { html } from '../lib.js';
import { useLiveStream } from '../liveStream.js';
import { useRefreshTimer } from '../refreshTimer.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { GapNotice, Page } from '../shell/page.js';
import { T } from '../strings.js';
import { Graph, Waterfall } from '../task/graph.js';
import { CopyButton, Fact, FINAL_STATES, quoted, TaskState } from '../ui/components.js';
import { Icon } from '../ui/icons.js';
import { EmptyState, ErrorPanel, Panel, Skeleton } from '../ui/panels.js';
import { useResource } from '../useResource.js';
import { Progress, WorkflowState } from '../workflow/progress.js';

const MOST = 2000;
/** Boxes of a graph beyond which it says nothing any more; the waterfall goes on. */
const GRAPH = 400;

const Crumb = ({ name = '' }) => html`
  <nav class="crumb" aria-label=${T.failures.crumbs}>
    <a href=${href('workflows')}>${T.pages.workflows}</a>
    ${
      name &&
      html`
        <${Icon} n="right" />
        <span class="trunc">${visible(name.slice(0, 160))}</span>
      `
    }
  </nav>
`;

/** @param {any} family of `GET /tasks/{uuid}/family` */
function figures({ states }) {
  const sum = (pick) =>
    Object.entries(states).reduce((all, [state, n]) => all + (pick(state) ? n : 0), 0);
  return {
    tasks: sum(() => true),
    ended: sum((each) => FINAL_STATES.has(each)),
    failed: states.FAILURE ?? 0,
    running: states.STARTED ?? 0,
  };
}

export default function Workflow({ id }) {
  const turn = useRefreshTimer(30);
  const family = useResource(
    (signal) => get(`tasks/${encodeSegment(id)}/family`, { limit: MOST }, { signal }),
    [id, turn],
  );
  useLiveStream({ topics: ['status'] }, { reset: family.reload });
  if (family.problem?.status === 404)
    return html`
      <${Page} title=${T.workflows.goneTitle} crumb=${html`<${Crumb} />`}>
        <${EmptyState}
          page
          title=${T.workflows.goneTitle}
          art="tasks"
          actions=${html`
            <a class="btn" href=${href('workflows')}>
              ${T.workflows.all}
            </a>
            <a class="btn quiet" href=${searchAddress(`root_id:=${quoted(id.slice(0, 200))}`)}>
              ${T.failures.itsTasks}
            </a>
          `}
        >
          <p>${T.task.why}</p>
        </${EmptyState}>
      </${Page}>
    `;
  if (!family.data)
    return html`
      <${Page} title=${T.pages.workflows} crumb=${html`<${Crumb} />`}>
        <div class="wrap">
          ${
            family.problem
              ? html`<${ErrorPanel} problem=${family.problem} onRetry=${family.reload} />`
              : family.slow && html`<${Skeleton} widths=${[50, 30, 80, 70]} />`
          }
        </div>
      </${Page}>
    `;
  const { nodes, root_id: rootId, start, end, states, whole } = family.data;
  const root = nodes.find((each) => each.uuid === (rootId ?? id)) ?? nodes[0];
  const told = figures(family.data);
  const name = root?.name ?? T.unknownName;
  const [module, last] = nameParts(name);
  const all = searchAddress(`root_id:=${quoted(rootId ?? id)}`);
  return html`
    <${Page}
      title=${`${name} ${id.slice(0, 8)}`}
      crumb=${html`<${Crumb} name=${name} />`}
      actions=${html`<a class="btn" href=${all}>
          <${Icon} n="tasks" />
          <span>${T.failures.itsTasks}</span>
        </a>`}
    >
      <div class="wrap workflow">
        <${GapNotice} />
        ${
          family.problem &&
          html`<${ErrorPanel} problem=${family.problem} onRetry=${family.reload} />`
        }
        <div class="dt-head">
          <div class="l1">
            <${WorkflowState} of=${told} lg />
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
              start != null &&
              html`
                <span class="muted">
                  ${T.workflows.began} ${full(start)}
                </span>
              `
            }
          </div>
        </div>
        <dl class="panel facts">
          <${Fact} name=${T.workflows.columns.progress}>
            <${Progress} of=${told} />
          </${Fact}>
          <${Fact} name=${T.workflows.columns.took}>
            ${start == null || end == null ? '–' : duration(end - start)}
          </${Fact}>
          <${Fact} name=${T.workflows.tasks}>${int(told.tasks)}</${Fact}>
          <${Fact} name=${T.workflows.states}>
            <span class="states">
              ${Object.entries(states).map(
                ([state, n]) => html`
                  <a href=${searchAddress(`root_id:=${quoted(rootId ?? id)} state:${state}`)}>
                    <${TaskState} s=${state} /> ${int(n)}
                  </a>
                `,
              )}
            </span>
          </${Fact}>
        </dl>
        ${!whole && html`<p class="muted small">${T.task.notWhole}</p>`}
        <div class="flow">
          <${Panel} title=${T.task.graph}>
            ${
              nodes.length > GRAPH
                ? html`<p class="muted pad16">${T.workflows.tooMany(int(nodes.length))}</p>`
                : html`<${Graph} nodes=${nodes} uuid=${''} />`
            }
          </${Panel}>
          <${Panel} title=${T.task.waterfall}>
            <${Waterfall} family=${family.data} uuid=${''} most=${MOST} />
          </${Panel}>
        </div>
      </div>
    </${Page}>
  `;
}
