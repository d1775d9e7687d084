// Who looks, and what they may do.

import { get } from './api.js';
import { settings } from './bootstrapData.js';
import { signal } from './lib.js';
import { T } from './strings.js';

/**
 * `GET /me`; null until it is known.
 * @type {{value: {name: string, way: string, permissions: string[]} | null}}
 */
export const me = signal(null);

export const readMe = () =>
  get('me').then(
    (told) => {
      me.value = told;
    },
    () => {},
  );

/**
 * Why something that needs this permission cannot be done; '' if it can.
 * @param {string} permission tasks, workers, audit, tokens
 */
export function whyNot(permission) {
  if (settings.read_only) return T.may.readOnly;
  if (!settings.can_act) return T.may.closed;
  return me.value && !me.value.permissions.includes(permission) ? T.may.lacks(permission) : '';
}
