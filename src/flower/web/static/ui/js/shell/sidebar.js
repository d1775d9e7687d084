// The side bar: pages, saved searches, how the recorder is, who you are.

import { bootstrapData } from '../bootstrapData.js';
import { currentUser } from '../currentUser.js';
import { compact } from '../format/numbers.js';
import { line, visible } from '../format/text.js';
import { age } from '../format/time.js';
import { html, useEffect } from '../lib.js';
import { status } from '../liveStream.js';
import { recorderMessage } from '../recorderStatus.js';
import { href, route } from '../router.js';
import { findRoute, ROUTES } from '../routes.js';
import {
  readSavedSearches,
  removeSavedSearch,
  savedSearchAddress,
  savedSearches,
} from '../savedSearches.js';
import { T } from '../strings.js';
import { setTheme, themeSetting } from '../theme.js';
import { Segmented } from '../ui/components.js';
import { Icon, Mark } from '../ui/icons.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { openCommandPalette } from './commandPalette.js';
import { openKeyboardHelp } from './keyboardHelp.js';
import { navBadges, useNavBadges } from './navBadges.js';
import { sidebarOpen } from './sidebarState.js';

function NavItem({ page, current }) {
  /** @type {any} */
  const shown =
    page.name === 'tasks' && status.value
      ? { n: status.value.store?.tasks }
      : navBadges.value[page.name];
  return html`
    <a href=${href(page.path)} aria-current=${current ? 'page' : null}>
      <${Icon} n=${page.icon} />
      <span>${T.pages[page.name]}</span>
      ${
        shown?.n != null &&
        html`
          <span class=${`n${shown.hot ? ' hot' : ''}`}>
            ${compact(shown.n)}
            ${shown.word && html`<span class="vh"> ${shown.word}</span>`}
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
  const found = findRoute(route.value.path)?.route;
  const parent =
    found &&
    (found.nav
      ? found
      : ROUTES.find((each) => each.nav && each.path && found.name === each.name.replace(/s$/, '')));
  const here = location.pathname + location.search;
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
          <${Icon} n="x" />
        </button>
      </div>
      <button type="button" class="jump" onClick=${openCommandPalette}>
        <${Icon} n="search" />
        <span>${T.nav.jump}</span>
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
                    aria-current=${savedSearchAddress(saved) === here ? 'page' : null}
                    title=${visible(saved.query)}
                  >
                    <${Icon} n="save" />
                    <span class="trunc">${line(saved.name, 80)}</span>
                  </a>
                  <button
                    type="button"
                    class="x"
                    aria-label=${T.tasks.removeSaved(saved.name)}
                    onClick=${() => removeSavedSearch(saved)}
                  >
                    <${Icon} n="x" />
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

function SidebarFooter() {
  const said = status.value ? recorderMessage(status.value) : null;
  const last = status.value?.recorder?.last_event;
  return html`
    <div class="foot">
      ${
        said &&
        html`
          <div class="line" title=${visible(said.text)}>
            <i class=${`dot ${said.level}`} aria-hidden="true"></i>
            <span>
              ${line(said.text, 120)}
              ${
                said.level === 'good' &&
                last != null &&
                html`<small> ${T.recorder.last(age(last, status.value.heard))}</small>`
              }
            </span>
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
          <${Icon} n="key" />
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
                  currentUser.value?.way === 'session' && [
                    T.nav.logout,
                    href('logout'),
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
