// The favicon shows trouble: another picture for each verdict, so that a tab among many says it.

import { bootstrapData } from '../bootstrapData.js';
import { effect } from '../lib.js';
import { health, status } from '../liveStream.js';
import { recorderMessage } from '../recorderStatus.js';

export function updateFavicon() {
  const link = document.querySelector('link[rel=icon]');
  effect(() => {
    const verdict =
      health.value?.verdict ??
      (status.value && recorderMessage(status.value).level === 'bad' ? 'critical' : 'ok');
    const name =
      verdict === 'critical' ? 'icon-critical' : verdict === 'warning' ? 'icon-warning' : 'icon';
    link?.setAttribute('href', `${bootstrapData.assets}${name}.svg`);
  });
}
