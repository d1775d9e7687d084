// Data that the server embeds in the HTML shell.

/**
 * @typedef {{root: string, assets: string, found: boolean, columns: string[], natural_time:
 *   boolean, auto_refresh: boolean, log_url: string, read_only: boolean, can_act: boolean, login:
 *   boolean, max_age: number, max_tasks: number, bulk_limit: number, purge_offline: number | null}}
 *   BootstrapData
 */
const content = document.querySelector('meta[name="bellflower"]')?.getAttribute('content');

/** @type {BootstrapData} */
export const bootstrapData = {
  root: '',
  assets: '',
  found: true,
  columns: [],
  natural_time: false,
  auto_refresh: true,
  log_url: '',
  read_only: false,
  can_act: true,
  login: false,
  max_age: 0,
  max_tasks: 0,
  bulk_limit: 10000,
  purge_offline: null,
  ...(content ? JSON.parse(content) : {}),
};
