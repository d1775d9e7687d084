import { onDemand } from '../ui/onDemand.js';

/** `startBulkAction` of the dialog, loaded on demand. */
export const startBulkAction = onDemand(() => import('./bulkActionDialog.js'), 'startBulkAction');
