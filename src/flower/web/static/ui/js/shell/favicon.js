// The favicon shows trouble: another picture for each verdict, so that a tab among many says it.

import { settings } from '../bootstrapData.js';
import { effect } from '../lib.js';
import { health, status } from '../liveStream.js';
import { recorderLine } from '../recorderStatus.js';

export function watchFavicon() {
  const link = document.querySelector('link[rel=icon]');
  effect(() => {
    const verdict =
      health.value?.verdict ??
      (status.value && recorderLine(status.value).level === 'bad' ? 'critical' : 'ok');
    const name =
      verdict === 'critical' ? 'icon-critical' : verdict === 'warning' ? 'icon-warning' : 'icon';
    link?.setAttribute('href', `${settings.assets}${name}.svg`);
  });
}
