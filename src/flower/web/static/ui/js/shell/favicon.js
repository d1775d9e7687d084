// The favicon shows the health status, so that it is visible in a background tab.

import { bootstrapData } from '../bootstrapData.js';
import { effect } from '../lib.js';
import { health, status } from '../liveStream.js';
import { recorderMessage } from '../recorderStatus.js';

export function updateFavicon() {
  const link = document.querySelector('link[rel=icon]');
  effect(() => {
    const level =
      health.value?.status ??
      (status.value && recorderMessage(status.value).level === 'bad' ? 'critical' : 'ok');
    const name =
      level === 'critical' ? 'icon-critical' : level === 'warning' ? 'icon-warning' : 'icon';
    link?.setAttribute('href', `${bootstrapData.assets}${name}.svg`);
  });
}
