// Light, dark, or what the system says.
import { signal } from './lib.js';

const KEY = 'bellflower.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function stored() {
  try {
    return localStorage.getItem(KEY) ?? 'system';
  } catch {
    return 'system';
  }
}

/** What was chosen: light, dark or system. */
export const choice = signal(stored());
/** What is shown: light or dark. */
export const theme = signal(document.documentElement.dataset.theme ?? 'light');

function show(shown) {
  document.documentElement.dataset.theme = shown;
  theme.value = shown;
}

/** @param {string} chosen light, dark or system */
export function choose(chosen) {
  choice.value = chosen;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    /* storage may be closed: it lasts as long as the page */
  }
  show(chosen === 'system' ? (system.matches ? 'dark' : 'light') : chosen);
}

export const toggleTheme = () => choose(theme.value === 'dark' ? 'light' : 'dark');

system.addEventListener('change', () => {
  if (choice.value === 'system') choose('system');
});
// Paper is light.
matchMedia('print').addEventListener('change', (event) => {
  if (event.matches) show('light');
  else choose(choice.value);
});
