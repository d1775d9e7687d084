// Light, dark, or what the system says.
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

/** What was chosen: light, dark or system. */
export const themeSetting = signal(readStoredTheme());
/** What is shown: light or dark. */
export const theme = signal(document.documentElement.dataset.theme ?? 'light');

function applyTheme(shown) {
  document.documentElement.dataset.theme = shown;
  theme.value = shown;
}

/** @param {string} chosen light, dark or system */
export function setTheme(chosen) {
  themeSetting.value = chosen;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    /* storage may be closed: it lasts as long as the page */
  }
  applyTheme(chosen === 'system' ? (system.matches ? 'dark' : 'light') : chosen);
}

export const toggleTheme = () => setTheme(theme.value === 'dark' ? 'light' : 'dark');

system.addEventListener('change', () => {
  if (themeSetting.value === 'system') setTheme('system');
});
// Paper is light.
matchMedia('print').addEventListener('change', (event) => {
  if (event.matches) applyTheme('light');
  else setTheme(themeSetting.value);
});
