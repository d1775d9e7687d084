// Who looks, and what they may do.

import { get } from './api.js';
import { bootstrapData } from './bootstrapData.js';
import { signal } from './lib.js';
import { T } from './strings.js';

/**
 * `GET /me`; null until it is known.
 * @type {{value: {name: string, way: string, permissions: string[]} | null}}
 */
export const currentUser = signal(null);

export const loadCurrentUser = () =>
  get('me').then(
    (told) => {
      currentUser.value = told;
    },
    () => {},
  );

/**
 * Why something that needs this permission cannot be done; '' if it can.
 * @param {string} permission tasks, workers, audit, tokens
 */
export function denialReason(permission) {
  if (bootstrapData.read_only) return T.may.readOnly;
  if (!bootstrapData.can_act) return T.may.closed;
  return currentUser.value && !currentUser.value.permissions.includes(permission)
    ? T.may.lacks(permission)
    : '';
}
