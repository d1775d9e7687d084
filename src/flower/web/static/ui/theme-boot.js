// Runs before the first paint, so that no page flashes in the wrong theme. `?theme=` is for pictures.
(() => {
  var chosen = new URLSearchParams(location.search).get('theme');
  try {
    chosen = chosen || localStorage.getItem('bellflower.theme');
  } catch {
    /* storage may be closed */
  }
  if (chosen !== 'light' && chosen !== 'dark')
    chosen = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  document.documentElement.dataset.theme = chosen;
})();
