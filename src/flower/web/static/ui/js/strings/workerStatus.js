// The status of a worker, on all pages.

export const workerStatus = {
  status: {
    online: 'Online',
    busy: 'Busy',
    no_heartbeats: 'No heartbeats',
    silent: 'Silent',
    offline: 'Offline',
    unknown: 'Unknown',
    noEvents: 'No events',
  },
  noEventsHint: 'Responds to inspect but sends no events',
  slots: (busy, all) => `${busy} of ${all} pool processes busy`,
  concurrencyUnknown: 'Concurrency unknown',
  behind: (span) => `${span} behind`,
  ahead: (span) => `${span} ahead`,
  noDrift: 'none',
};
