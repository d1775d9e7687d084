// The workflow of a task as a graph or a waterfall, and its siblings.

import { duration, int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { html, useState } from '../lib.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { quoteValue } from '../search/queryText.js';
import * as T from '../strings.js';
import { Segmented, TaskState } from '../ui/components.js';
import { ErrorPanel, Panel, Skeleton } from '../ui/panels.js';
import { Graph, Waterfall } from './graph.js';

const SIBLINGS = 8;

export function WorkflowPanel({ task, workflow }) {
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
                            <${TaskState}
                              state=${known.get(uuid).state}
                              lost=${known.get(uuid).lost}
                            />${' '}
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
