// What depends on the rows of the table beside the rows: the button of waiting rows, and the messages over the table.

import { html } from '../lib.js';
import * as T from '../strings.js';
import { Icon } from '../ui/icons.js';
import { ErrorPanel } from '../ui/panels.js';
import { GridSkeleton } from './grid.js';
import { NoTasks } from './noTasks.js';

/** @param {{rows: any, version: {value: number}, onShow: () => void}} props version: changes with the rows */
export function NewRowsButton({ rows, version, onShow }) {
  return version.value && rows.pendingCount > 0
    ? html`
      <button
        type="button"
        class="btn fresh"
        aria-live="polite"
        title=${T.live.freshHint}
        onClick=${onShow}
      >
        <${Icon} name="up" />
        ${T.live.fresh(rows.overflowing ? Infinity : rows.pendingCount)}
      </button>
    `
    : null;
}

/**
 * @param {{rows: any, version: {value: number}, state: any, isLoaded: boolean, loading: boolean, problem: any,
 *   queryError: any, onRetry: () => void}} props
 */
export function GridMessages({
  rows,
  version,
  state,
  isLoaded,
  loading,
  problem,
  queryError,
  onRetry,
}) {
  const error = queryError ? null : problem;
  if (version.value && rows.total > 0)
    return error
      ? html`
        <div class="over-top">
          <${ErrorPanel} problem=${error} onRetry=${onRetry} />
        </div>
      `
      : null;
  return html`
    <div class="over">
      ${
        loading && !isLoaded
          ? html`<${GridSkeleton} />`
          : error
            ? html`<${ErrorPanel} problem=${error} title=${T.tasks.loadFailed} onRetry=${onRetry} />`
            : !loading && !problem
              ? html`<${NoTasks} state=${state} />`
              : null
      }
    </div>
  `;
}
