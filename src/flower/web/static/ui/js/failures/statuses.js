// How a group of failures may stand, and which of them want to be looked at.
export const STATUSES = ['new', 'returning', 'open', 'resolved', 'muted'];
export const UNRESOLVED = ['new', 'returning', 'open'];
/** The range of time of who named none: failures that nobody has had for so long are no news. */
export const DEFAULT_RANGE = '-24h';
