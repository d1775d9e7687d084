import { onDemand } from '../ui/onDemand.js';

/** `openKeyboardHelp` of the dialog, loaded on demand. */
export const openKeyboardHelp = onDemand(() => import('./keyboardHelp.js'), 'openKeyboardHelp');
