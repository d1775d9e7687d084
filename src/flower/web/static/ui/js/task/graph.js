// The workflow of a task, as a graph and as a waterfall of all its tasks.

import { duration } from '../format/numbers.js';
import { line, nameParts, visible } from '../format/text.js';
import { findGaps, gaps, gapText } from '../gaps.js';
import { html, useEffect, useMemo, useRef, useState } from '../lib.js';
import { encodeSegment, href } from '../router.js';
import * as T from '../strings.js';
import { LostMark, StateShape, stateClass, TaskName } from '../ui/components.js';
import { GapNote } from '../ui/gapNote.js';
import { ErrorPanel } from '../ui/panels.js';
import { BOX, layoutTree } from './graphLayout.js';

/** Up to this number of tasks the graph is laid out as a tree; for more, dagre is loaded. */
const MAX_TREE_NODES = 60;
const PAD = 8;

/** The layout by dagre, which stays compact where a tree would be very wide. */
async function layoutWithDagre(nodes) {
  const { graphlib, layout } = await import('../../vendor/dagre.js');
  const graph = new graphlib.Graph()
    .setGraph({ ranksep: 3 * BOX.gapY, nodesep: BOX.gapX, rankdir: 'LR' })
    .setDefaultEdgeLabel(() => ({}));
  const { edges } = layoutTree(nodes);
  for (const node of nodes) graph.setNode(node.uuid, { width: BOX.width, height: BOX.height });
  for (const [from, to] of edges) graph.setEdge(from, to);
  layout(graph);
  const { width, height } = graph.graph();
  return {
    positions: new Map(
      nodes.map((node) => {
        const { x, y } = graph.node(node.uuid);
        return [node.uuid, { x, y }];
      }),
    ),
    edges,
    width,
    height,
    across: true,
  };
}

function Box({ node, position, me }) {
  const [module, name] = nameParts(node.name ?? node.uuid);
  const maxLength = 17;
  const short = (text, n) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);
  const note = !node.recorded
    ? T.task.notRecordedNode
    : [
        short(module.replace(/\.$/, ''), 12),
        node.lost
          ? T.lost.mark
          : node.runtime != null
            ? duration(node.runtime)
            : T.state(node.state).toLowerCase(),
      ]
        .filter(Boolean)
        .join(' · ');
  const left = position.x - BOX.width / 2;
  const top = position.y - BOX.height / 2;
  return html`
    <a
      href=${href(`task/${encodeSegment(node.uuid)}`)}
      class=${[
        'n',
        stateClass(node.state ?? 'PENDING'),
        me && 'me',
        (node.state === 'PENDING' || !node.recorded) && 'dim',
      ]
        .filter(Boolean)
        .join(' ')}
      aria-label=${[
        `${line(short(name, maxLength), 40)} ${line(note, 40)}`,
        visible(node.name ?? node.uuid),
        node.recorded ? T.state(node.state) : T.task.notRecordedNode,
        node.lost && T.lost.hint(visible(node.lost.detail)),
      ]
        .filter(Boolean)
        .join(', ')}
      aria-current=${me ? 'true' : null}
    >
      <rect x=${left} y=${top} width=${BOX.width} height=${BOX.height} rx="7" />
      <svg x=${left + 8} y=${top + 8} width="13" height="13" class="mk">
        <${StateShape} state=${node.state ?? 'PENDING'} />
      </svg>
      <text x=${left + 26} y=${top + 19}>
        ${line(short(name, maxLength), 40)}
      </text>${' '}
      <text class="s" x=${left + 9} y=${top + 35}>
        ${line(note, 40)}
      </text>
    </a>
  `;
}

/** @param {{nodes: any[], uuid: string}} props */
export function Graph({ nodes, uuid }) {
  const simple = useMemo(
    () => (nodes.length <= MAX_TREE_NODES ? layoutTree(nodes) : null),
    [nodes],
  );
  const [drawn, setDrawn] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (simple) return undefined;
    let mounted = true;
    layoutWithDagre(nodes).then(
      (made) => {
        if (mounted) setDrawn({ ...made, nodes });
      },
      () => {
        if (mounted) setProblem({ message: T.task.layoutFailed });
      },
    );
    return () => {
      mounted = false;
    };
  }, [nodes]);
  // The old layout is shown, with its tasks, until the new one is ready.
  const drawing = simple ?? drawn;
  const shown = simple ? nodes : drawn?.nodes;
  const own = drawing?.positions.get(uuid) ?? drawing?.positions.get(nodes[0]?.uuid);
  useEffect(() => {
    const el = box.current;
    if (!el || !own) return;
    el.scrollLeft = own.x + PAD - el.clientWidth / 2;
    el.scrollTop = own.y + PAD - el.clientHeight / 2;
  }, [drawing]);
  if (problem) return html`<${ErrorPanel} problem=${problem} />`;
  if (!drawing) return html`<div class="gv"></div>`;
  const { positions, edges, width, height, across } = drawing;
  const curve = ([from, to]) => {
    const [a, b] = [positions.get(from), positions.get(to)];
    if (across) {
      const m = (a.x + b.x) / 2;
      return `M${a.x + BOX.width / 2} ${a.y}C${m} ${a.y} ${m} ${b.y} ${b.x - BOX.width / 2} ${b.y}`;
    }
    const m = (a.y + b.y) / 2;
    return `M${a.x} ${a.y + BOX.height / 2}C${a.x} ${m + 4} ${b.x} ${m - 4} ${b.x} ${b.y - BOX.height / 2}`;
  };
  const states = new Map(shown.map((node) => [node.uuid, node.state]));
  return html`
    <div
      class="gv"
      ref=${box}
      tabindex="0"
      role="group"
      aria-label=${T.task.workflowLabel(nodes.length)}
    >
      <svg
        width=${width + 2 * PAD}
        height=${height + 2 * PAD}
        viewBox=${`${-PAD} ${-PAD} ${width + 2 * PAD} ${height + 2 * PAD}`}
      >
        ${edges.map(
          (edge) => html`
            <path
              class=${`e${states.get(edge[1]) === 'PENDING' ? ' dim' : ''}`}
              d=${curve(edge)}
            />
          `,
        )}
        ${shown.map(
          (node) => html`
            <${Box}
              key=${node.uuid}
              node=${node}
              position=${positions.get(node.uuid)}
              me=${node.uuid === uuid}
            />
          `,
        )}
      </svg>
    </div>
  `;
}

/**
 * Every task of the workflow over time: a thin line is waiting, a block is running.
 * @param {{workflow: any, uuid: string, limit?: number}} props
 */
export function Waterfall({ workflow, uuid, limit = 200 }) {
  const nodes = workflow.nodes.filter((node) => node.recorded && node.started_at != null);
  const start = Math.min(...nodes.map((node) => node.started_at));
  const end = Math.max(
    ...nodes.map((node) => node.ended_at ?? node.started_at),
    (Date.now() / 1000) *
      (nodes.some((node) => node.ended_at == null && node.state === 'STARTED' && !node.lost)
        ? 1
        : 0),
  );
  const span = end - start || 0.001;
  const x = (t) => `${(100 * Math.max(0, t - start)) / span}%`;
  const marks = findGaps(gaps.value, start, end);
  return html`
    <div class="wfall" tabindex="0" role="group" aria-label=${T.task.waterfall}>
      ${nodes.slice(0, limit).map((node) => {
        const waits = node.wait ?? 0;
        const runs = node.runtime ?? Math.max(0, (node.ended_at ?? end) - node.started_at - waits);
        return html`
          <a
            class=${`wl ${stateClass(node.state)}${node.uuid === uuid ? ' me' : ''}`}
            href=${href(`task/${encodeSegment(node.uuid)}`)}
            aria-current=${node.uuid === uuid ? 'true' : null}
          >
            <span class="trunc" style=${{ paddingLeft: `${Math.min(node.depth, 8) * 10}px` }}>
              <${StateShape} state=${node.state} />
              <${TaskName} name=${node.name} />
              ${node.lost && html`${' '}<${LostMark} reason=${node.lost.detail} />`}
            </span>
            <span class="tr">
              ${marks.map(
                (gap) => html`
                  <u
                    class="hatch"
                    title=${visible(gapText(gap))}
                    style=${{
                      left: x(gap.from),
                      width: `${(100 * (Math.min(gap.to, end) - Math.max(gap.from, start))) / span}%`,
                    }}
                  ></u>
                `,
              )}
              <i
                class="wait"
                style=${{ left: x(node.started_at), width: `${(100 * waits) / span}%` }}
              ></i>
              <i
                class=${node.lost ? 'lost' : node.state === 'FAILURE' ? 'fail' : 'run'}
                style=${{ left: x(node.started_at + waits), width: `${(100 * runs) / span}%` }}
              ></i>
            </span>
            <span class="num">${duration(node.runtime ?? null)}</span>
          </a>
        `;
      })}
      ${nodes.length > limit && html`<p class="muted pad16">${T.task.partialWorkflow}</p>`}
      <${GapNote} of=${marks} />
    </div>
  `;
}
