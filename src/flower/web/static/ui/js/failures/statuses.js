// The statuses of failure groups, and those that need attention.
export const STATUSES = ['new', 'regressed', 'open', 'resolved', 'muted'];
export const UNRESOLVED = ['new', 'regressed', 'open'];
/** The default time range of the failures page. */
export const DEFAULT_RANGE = '-24h';
