// The frame of every page: title, toolbar, live-updates button.

import { visible } from '../format/text.js';
import { span } from '../format/time.js';
import { html, useEffect } from '../lib.js';
import { connectionState, health, paused, status, togglePaused } from '../liveStream.js';
import { interruption, recorderMessage } from '../recorderStatus.js';
import * as T from '../strings.js';
import { Icon } from '../ui/icons.js';
import { sidebarOpen } from './sidebarState.js';

/** @param {string} title */
export const useTitle = (title) =>
  useEffect(() => {
    document.title = `${visible(title)} · ${T.product}`;
  }, [title]);

/**
 * @param {{title: string, crumb?: any, actions?: any, fixed?: boolean, live?: boolean, children?:
 *   any, heading?: any}} props
 * crumb: replaces the title in the toolbar, for pages with a heading of their own; fixed: parts of the
 * page scroll instead of the page
 */
export function Page({
  title,
  crumb = null,
  actions = null,
  fixed = false,
  live = true,
  children,
}) {
  useTitle(title);
  return html`
    <main class=${`page${fixed ? ' fixed' : ''}`} id="main" tabindex=${fixed ? -1 : 0}>
      <div class="bar">
        <button
          type="button"
          class="btn quiet icon narrow"
          aria-label=${T.nav.menu}
          aria-expanded=${sidebarOpen.value ? 'true' : 'false'}
          onClick=${() => {
            sidebarOpen.value = true;
          }}
        >
          <${Icon} name="menu" />
        </button>
        ${crumb ?? html`<h1>${visible(title)}</h1>`}
        <span class="sp"></span>
        <div class="acts">${actions}</div>
        ${live && html`<${LivePill} />`}
      </div>
      ${children}
    </main>
  `;
}

const STATE_TEXTS = {
  live: T.live.live,
  paused: T.live.paused,
  connecting: T.live.connecting,
  reconnecting: T.live.reconnecting,
  none: T.live.none,
  idle: T.live.idle,
};
const BROKEN_TEXTS = { disconnected: T.live.unreachable, behind: T.live.stale };
/** Seconds of recorder lag above which the delay is shown. */
const MAX_LAG = 3;

export function LivePill() {
  const state = connectionState.value;
  const recorder = recorderMessage(status.value);
  const lag = status.value?.recorder?.lag ?? 0;
  // Without a connection, the last status is not current: a server that stops reports the end of its recorder first.
  const isCurrent = state !== 'paused' && state !== 'reconnecting';
  const broken = isCurrent ? interruption.value : null;
  const stopped = status.value && isCurrent && (recorder.level === 'bad' || broken);
  const isEmpty = !stopped && state === 'live' && health.value?.status === 'unknown';
  const text = stopped
    ? (BROKEN_TEXTS[broken?.kind ?? ''] ?? T.live.stopped)
    : isEmpty
      ? T.live.noData
      : STATE_TEXTS[state];
  const style = broken?.kind === 'behind' ? 'late' : stopped ? 'bad' : isEmpty ? 'none' : state;
  const note =
    state === 'paused'
      ? T.live.pauseHint
      : !stopped && lag > MAX_LAG
        ? T.live.delayed(span(lag))
        : '';
  const hint = [
    stopped
      ? (broken?.text ?? recorder.text)
      : state === 'none'
        ? T.live.noneHint
        : paused.value
          ? T.live.toResume
          : T.live.toPause,
    isEmpty && health.value.summary,
    note && lag > MAX_LAG && T.live.delayedHint,
  ]
    .filter(Boolean)
    .join('. ');
  return html`
    <button
      type="button"
      class=${`live ${style}${lag > MAX_LAG ? ' late' : ''}`}
      aria-pressed=${paused.value ? 'false' : 'true'}
      title=${hint}
      onClick=${togglePaused}
    >
      <i aria-hidden="true"></i>
      <span>${text}</span>
      ${note && html`<small>${note}</small>`}
    </button>
  `;
}
