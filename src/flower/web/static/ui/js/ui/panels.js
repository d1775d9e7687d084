// Panels, error messages, empty states and skeletons.
import { html } from '../lib.js';
import * as T from '../strings.js';

/**
 * A section with a heading.
 * @param {{title: string, end?: any, cls?: string, children?: any}} props
 */
export const Panel = ({ title, end = null, cls = '', children }) => html`
  <section class=${`panel ${cls}`} aria-label=${title}>
    <header>
      <h2>${title}</h2>
      <span class="sp"></span>
      ${end}
    </header>
    ${children}
  </section>
`;

/** @param {{problem: any, onRetry?: () => void, title?: string}} props */
export const ErrorPanel = ({ problem, onRetry, title = '' }) => html`
  <div class="problem" role="alert">
    <div>
      ${title && html`<b>${title}</b>`}
      <p>${problem.message}</p>
      ${problem.hint && html`<p class="muted">${problem.hint}</p>`}
    </div>
    ${
      onRetry &&
      html`
        <button type="button" class="btn" onClick=${onRetry}>
          ${T.problem.retry}
        </button>
      `
    }
  </div>
`;

const ART = {
  tasks:
    'M6 60h120M18 60v-8M34 60v-14M50 60v-5M66 60v-22M82 60v-9M98 60v-3M114 60v-9M84 16a9 9 0 ' +
    '1 0 18 0a9 9 0 1 0-18 0M99.500 22.500 108 31',
  bars: 'M6 60h120M20 60V34M44 60V18M68 60V42M92 60V26M116 60V48',
};

/**
 * An empty state: what is missing, possible reasons, one next step.
 * @param {{title: string, art?: string, page?: boolean, children?: any, actions?: any}} props page:
 *   the title is the heading of the page
 */
export const EmptyState = ({ title, art = 'bars', page = false, children, actions = null }) => html`
  <div class="empty">
    <svg class="ico big" viewBox="0 0 132 66" aria-hidden="true">
      <path d=${ART[art]} />
    </svg>
    <${page ? 'h1' : 'h2'}>${title}</${page ? 'h1' : 'h2'}>
    ${children}
    ${actions && html`<div class="row">${actions}</div>`}
  </div>
`;

/** Placeholder lines while data loads. @param {{widths?: number[]}} props */
export const Skeleton = ({ widths = [60, 80, 45, 70] }) => html`
  <div class="skels" aria-hidden="true">
    ${widths.map((width) => html`<div class="skel" style=${{ width: `${width}%` }}></div>`)}
  </div>
`;

/**
 * The content of a panel: skeleton, error, or the rendered data. Old data stays, dimmed, while new data
 * loads.
 * @param {{of: any, children: (data: any) => any}} props of: result of `useResource`
 */
export function Loaded({ of, children }) {
  if (of.problem && !of.data)
    return html`<${ErrorPanel} problem=${of.problem} onRetry=${of.reload} />`;
  if (!of.data) return of.slow ? html`<${Skeleton} />` : html`<div class="skels"></div>`;
  return html`
    <div class=${of.slow ? 'dim' : ''} aria-busy=${of.loading ? 'true' : 'false'}>
      ${of.problem && html`<${ErrorPanel} problem=${of.problem} onRetry=${of.reload} />`}
      ${children(of.data)}
    </div>
  `;
}
