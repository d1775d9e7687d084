// The sidebar: pages, saved searches, recorder status, account and theme.

import { bootstrapData } from '../bootstrapData.js';
import { currentUser } from '../currentUser.js';
import { compact } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { age } from '../format/time.js';
import { gaps } from '../gaps.js';
import { html, useEffect } from '../lib.js';
import { status } from '../liveStream.js';
import { recorderMessage } from '../recorderStatus.js';
import { address, href, route } from '../router.js';
import { findRoute, ROUTES } from '../routes.js';
import {
  readSavedSearches,
  removeSavedSearch,
  savedSearchAddress,
  savedSearches,
} from '../savedSearches.js';
import { signOut } from '../signOut.js';
import * as T from '../strings.js';
import { setTheme, themeSetting } from '../theme.js';
import { Segmented } from '../ui/components.js';
import { GapList } from '../ui/gapNote.js';
import { Icon, Mark } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { openCommandPalette } from './commandPalette.js';
import { navBadges, useNavBadges } from './navBadges.js';
import { openKeyboardHelp } from './openKeyboardHelp.js';
import { sidebarOpen } from './sidebarState.js';

function NavItem({ page, current }) {
  /** @type {any} */
  const badge =
    page.name === 'tasks' && status.value
      ? { n: status.value.store?.task_count }
      : navBadges.value[page.name];
  return html`
    <a href=${href(page.path)} aria-current=${current ? 'page' : null}>
      <${Icon} name=${page.icon} />
      <span>${T.pages[page.name]}</span>
      ${
        badge?.n != null &&
        html`
          <span class=${`n${badge.hot ? ' hot' : ''}`}>
            ${compact(badge.n)}
            ${badge.word && html`<span class="vh"> ${badge.word}</span>`}
          </span>
        `
      }
    </a>
  `;
}

export function Sidebar() {
  useEffect(() => {
    readSavedSearches();
  }, []);
  useNavBadges();
  useEffect(() => {
    sidebarOpen.value = false;
  }, [route.value.key]);
  const active = findRoute(route.value.path)?.route;
  const parent =
    active &&
    (active.nav
      ? active
      : ROUTES.find(
          (each) => each.nav && each.path && active.name === each.name.replace(/s$/, ''),
        ));
  const url = location.pathname + location.search;
  return html`
    <aside
      class=${`side${sidebarOpen.value ? ' open' : ''}`}
      onKeyDown=${(e) => {
        if (e.key === 'Escape') sidebarOpen.value = false;
      }}
    >
      <div class="brandline">
        <a class="brand" href=${href('')}>
          <${Mark} />
          ${T.product}
        </a>
        <button
          type="button"
          class="btn quiet icon narrow"
          aria-label=${T.nav.close}
          onClick=${() => {
            sidebarOpen.value = false;
          }}
        >
          <${Icon} name="x" />
        </button>
      </div>
      <button type="button" class="palette-button" onClick=${openCommandPalette}>
        <${Icon} name="search" />
        <span>${T.nav.palette}</span>
        <kbd>${/Mac|iP/.test(navigator.platform) ? '⌘K' : 'Ctrl K'}</kbd>
      </button>
      <nav class="nav" aria-label=${T.nav.main}>
        ${ROUTES.filter((page) => page.nav).map(
          (page) => html`<${NavItem} page=${page} current=${page === parent} key=${page.name} />`,
        )}
      </nav>
      ${
        savedSearches.value &&
        savedSearches.value.length > 0 &&
        html`
          <h2>${T.nav.saved}</h2>
          <nav class="nav saved" aria-label=${T.nav.saved}>
            ${savedSearches.value.map(
              (saved) => html`
                <div class="with-x" key=${saved.id}>
                  <a
                    href=${savedSearchAddress(saved)}
                    aria-current=${savedSearchAddress(saved) === url ? 'page' : null}
                    title=${visible(saved.query)}
                  >
                    <${Icon} name="save" />
                    <span class="trunc">${line(saved.name, 80)}</span>
                  </a>
                  <button
                    type="button"
                    class="x"
                    aria-label=${T.nav.removeSaved(saved.name)}
                    onClick=${() => removeSavedSearch(saved)}
                  >
                    <${Icon} name="x" />
                  </button>
                </div>
              `,
            )}
          </nav>
        `
      }
      <${SidebarFooter} />
    </aside>
    ${
      sidebarOpen.value &&
      html`
        <div
          class="veil"
          onClick=${() => {
            sidebarOpen.value = false;
          }}
        ></div>
      `
    }
  `;
}

/** Seconds after its end for which a gap is counted beside the state of the recorder. */
const RECENT_GAP = 86_400;

/** The gaps of the last day, in a pane. */
function RecentGaps() {
  const recent = gaps.value.filter((gap) => gap.to > Date.now() / 1000 - RECENT_GAP);
  if (!recent.length) return null;
  return html`
    <span class="sp"></span>
    <${Popover} label=${T.gaps.title} text=${T.gaps.count(recent.length)} cls="gaps-btn">
      ${(close) => html`
        <div class="pad">
          <p class="muted small">${T.gaps.text}</p>
          <${GapList} of=${recent} close=${close} />
          <a class="link small" href=${address('settings', { show: 'gaps' })}>${T.gaps.all}</a>
        </div>
      `}
    </${Popover}>
  `;
}

function SidebarFooter() {
  const recorder = status.value ? recorderMessage(status.value) : null;
  const lastEventAt = status.value?.recorder?.last_event_at;
  return html`
    <div class="foot">
      ${
        recorder &&
        html`
          <div class="line" title=${visible(recorder.text)}>
            <i class=${`dot ${recorder.level}`} aria-hidden="true"></i>
            <span>
              ${line(recorder.text, 120)}
              ${
                recorder.level === 'good' &&
                lastEventAt != null &&
                html`<small> ${T.recorder.last(age(lastEventAt, status.value.receivedAt))}</small>`
              }
            </span>
            <${RecentGaps} />
          </div>
        `
      }
      <div class="line">
        <span class="trunc">
          ${bootstrapData.read_only ? T.nav.readOnly : line(currentUser.value?.name ?? '', 40)}
        </span>
        <span class="sp"></span>
        <button
          type="button"
          class="btn quiet icon"
          aria-label=${T.nav.keys}
          title=${T.nav.keys}
          onClick=${openKeyboardHelp}
        >
          <${Icon} name="key" />
        </button>
        <${Popover}
          label=${T.nav.theme(T.nav.themes[themeSetting.value])}
          icon=${themeSetting.value === 'dark' ? 'moon' : themeSetting.value === 'light' ? 'sun' : 'system'}
          end
        >
          ${(close) => html`
            <div class="pad">
              <${Segmented}
                label=${T.nav.theme('')}
                items=${Object.entries(T.nav.themes)}
                value=${themeSetting.value}
                onPick=${setTheme}
              />
              <p class="muted small">${T.nav.account(currentUser.value?.name)}</p>
            </div>
            <${MenuItems}
              close=${close}
              items=${[
                [T.nav.api, href('api/v1/docs'), { icon: 'external' }],
                bootstrapData.login &&
                  currentUser.value?.auth_method === 'session' && [
                    T.nav.signOut,
                    signOut,
                    { icon: 'right' },
                  ],
              ]}
            />
          `}
        </${Popover}>
      </div>
    </div>
  `;
}
