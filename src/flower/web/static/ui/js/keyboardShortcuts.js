// Keyboard shortcuts: a stack of tables from key to handler; the most recently mounted component that
// handles a key gets it. Keys typed into a field are not shortcuts.
import { useLayoutEffect } from './lib.js';

/** @type {Record<string, (event: KeyboardEvent) => void>[]} */
const shortcutTables = [];
let prefix = '';
let timer = 0;

/** Whether keys are input of this element. @param {EventTarget | null} target */
function isTextInput(target) {
  return (
    target instanceof Element &&
    !!target.closest('input:not([type=checkbox]), textarea, select, [contenteditable]')
  );
}

addEventListener('keydown', (event) => {
  const isPaletteKey =
    (event.ctrlKey || event.metaKey) &&
    !event.shiftKey &&
    !event.altKey &&
    event.key.toLowerCase() === 'k';
  if (!isPaletteKey && (event.ctrlKey || event.metaKey || event.altKey || event.isComposing))
    return;
  if (!isPaletteKey && event.key !== 'Escape' && isTextInput(event.target)) return;
  if (!isPaletteKey && document.querySelector('dialog[open]')) return;
  const name = isPaletteKey ? 'palette' : prefix + event.key;
  clearTimeout(timer);
  prefix = '';
  for (let i = shortcutTables.length - 1; i >= 0; i -= 1) {
    const handler = shortcutTables[i][name];
    if (handler) {
      if (name !== 'Escape') event.preventDefault();
      handler(event);
      return;
    }
  }
  if (event.key === 'g') {
    prefix = 'g ';
    timer = setTimeout(() => {
      prefix = '';
    }, 1200);
  }
});

/**
 * Registers shortcuts while the component is mounted. Keys are values of `KeyboardEvent.key`; `g t` is
 * g followed by t; `palette` is Ctrl+K or ⌘K.
 * @param {Record<string, (event: KeyboardEvent) => void>} table
 */
export function useKeyboardShortcuts(table) {
  // A layout effect, because the next key can be pressed before the next paint.
  useLayoutEffect(() => {
    shortcutTables.push(table);
    return () => {
      shortcutTables.splice(shortcutTables.indexOf(table), 1);
    };
  });
}
