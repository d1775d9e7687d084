// The signed-in user and their permissions.

import { get } from './api.js';
import { bootstrapData } from './bootstrapData.js';
import { signal } from './lib.js';
import * as T from './strings.js';

/**
 * `GET /me`; null until loaded.
 * @type {{value: {name: string, auth_method: string, permissions: string[]} | null}}
 */
export const currentUser = signal(null);

export const loadCurrentUser = () =>
  get('me').then(
    (user) => {
      currentUser.value = user;
    },
    () => {},
  );

/**
 * Why an action that requires this permission is disabled; '' if it is allowed.
 * @param {string} permission tasks, workers, audit, tokens
 */
export function denialReason(permission) {
  if (bootstrapData.read_only) return T.denied.readOnly;
  if (!bootstrapData.can_act) return T.denied.noAuth;
  return currentUser.value && !currentUser.value.permissions.includes(permission)
    ? T.denied.permission(permission)
    : '';
}
