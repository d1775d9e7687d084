// The colour theme: light, dark or that of the system.
import { signal } from './lib.js';

const KEY = 'bellflower.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function readStoredTheme() {
  try {
    return localStorage.getItem(KEY) ?? 'system';
  } catch {
    return 'system';
  }
}

/** The setting: light, dark or system. */
export const themeSetting = signal(readStoredTheme());
/** The active theme: light or dark. */
export const theme = signal(document.documentElement.dataset.theme ?? 'light');

function applyTheme(active) {
  document.documentElement.dataset.theme = active;
  theme.value = active;
}

/** @param {string} setting light, dark or system */
export function setTheme(setting) {
  themeSetting.value = setting;
  try {
    localStorage.setItem(KEY, setting);
  } catch {
    /* storage is disabled: the setting lasts until the page is closed */
  }
  applyTheme(setting === 'system' ? (system.matches ? 'dark' : 'light') : setting);
}

export const toggleTheme = () => setTheme(theme.value === 'dark' ? 'light' : 'dark');

system.addEventListener('change', () => {
  if (themeSetting.value === 'system') setTheme('system');
});
// Printed pages are light.
matchMedia('print').addEventListener('change', (event) => {
  if (event.matches) applyTheme('light');
  else setTheme(themeSetting.value);
});
