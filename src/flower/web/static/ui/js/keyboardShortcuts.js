// Keyboard: a stack of tables from key to function; the newest that knows a key has it. Fields keep
// their keys.
import { useLayoutEffect } from './lib.js';

/** @type {Record<string, (event: KeyboardEvent) => void>[]} */
const tables = [];
let prefix = '';
let timer = 0;

/** Whether keys belong to a field or a dialog now. @param {EventTarget | null} target */
function isTextInput(target) {
  return (
    target instanceof Element &&
    !!target.closest('input:not([type=checkbox]), textarea, select, [contenteditable]')
  );
}

addEventListener('keydown', (event) => {
  const jump =
    (event.ctrlKey || event.metaKey) &&
    !event.shiftKey &&
    !event.altKey &&
    event.key.toLowerCase() === 'k';
  if (!jump && (event.ctrlKey || event.metaKey || event.altKey || event.isComposing)) return;
  if (!jump && event.key !== 'Escape' && isTextInput(event.target)) return;
  if (!jump && document.querySelector('dialog[open]')) return;
  const name = jump ? 'jump' : prefix + event.key;
  clearTimeout(timer);
  prefix = '';
  for (let at = tables.length - 1; at >= 0; at -= 1) {
    const act = tables[at][name];
    if (act) {
      if (name !== 'Escape') event.preventDefault();
      act(event);
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
 * Keys while this component is there. A key is as `KeyboardEvent.key` has it; `g t` is g, then t;
 * `jump` is Ctrl or ⌘ K.
 * @param {Record<string, (event: KeyboardEvent) => void>} table
 */
export function useKeyboardShortcuts(table) {
  // At once, not after the next paint: the next key may come before it.
  useLayoutEffect(() => {
    tables.push(table);
    return () => {
      tables.splice(tables.indexOf(table), 1);
    };
  });
}
