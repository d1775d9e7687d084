// Sets the theme before the first paint. `?theme=` overrides the setting, for screenshots.
(() => {
  var chosen = new URLSearchParams(location.search).get('theme');
  try {
    chosen = chosen || localStorage.getItem('bellflower.theme');
  } catch {
    /* storage is disabled */
  }
  if (chosen !== 'light' && chosen !== 'dark')
    chosen = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  document.documentElement.dataset.theme = chosen;
})();
