// Sign-out: a form post, because links can be opened by other sites and loaded in advance.

import { readCsrfToken } from './api.js';
import { href } from './router.js';

export function signOut() {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = href('logout');
  const field = document.createElement('input');
  field.type = 'hidden';
  field.name = '_xsrf';
  field.value = readCsrfToken();
  form.append(field);
  document.body.append(form);
  form.submit();
}
