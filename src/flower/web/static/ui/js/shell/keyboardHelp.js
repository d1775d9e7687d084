// The dialog that lists the keyboard shortcuts.
import { html } from '../lib.js';
import * as T from '../strings.js';
import { Keys } from '../ui/components.js';
import { showDialog } from '../ui/dialog.js';

export const openKeyboardHelp = () =>
  showDialog({
    title: T.help.title,
    wide: true,
    body: (close) => html`
      <div class="help">
        ${
          /** @type {[string, [string[], string][]][]} */ (T.help.groups).map(
            ([title, keys]) => html`
              <section>
                <h3>${title}</h3>
                <dl>
                  ${keys.map(
                    ([names, does]) => html`
                    <div>
                      <dt>
                        <${Keys} keys=${names} />
                      </dt>
                      <dd>${does}</dd>
                    </div>
                  `,
                  )}
                </dl>
              </section>
            `,
          )
        }
      </div>
      <div class="row">
        <button type="button" class="btn" autofocus onClick=${() => close(null)}>
          ${T.nav.close}
        </button>
      </div>
    `,
  });
