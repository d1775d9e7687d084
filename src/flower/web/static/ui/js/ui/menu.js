// A button that opens a pane below itself: the browser's popover, which Escape or a click outside closes.
import { html, useId, useRef, useState } from '../lib.js';
import { Icon } from './icons.js';

/**
 * @param {{label: string, icon?: string, text?: any, quiet?: boolean, children: any, end?: boolean,
 *   cls?: string}} props
 * children: content, or a function that is called with `close` while the pane is open
 */
export function Popover({
  label,
  icon = '',
  text = null,
  quiet = true,
  children,
  end = false,
  cls = '',
}) {
  const id = useId();
  const button = useRef(/** @type {any} */ (null));
  const pane = useRef(/** @type {any} */ (null));
  const [open, setOpen] = useState(false);
  const place = () => {
    const at = button.current.getBoundingClientRect();
    const width = pane.current.offsetWidth;
    const left = end ? at.right - width : at.left;
    Object.assign(pane.current.style, {
      left: `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`,
      top: `${Math.min(at.bottom + 6, Math.max(8, innerHeight - pane.current.offsetHeight - 8))}px`,
    });
  };
  const onToggle = (event) => {
    setOpen(event.newState === 'open');
    if (event.newState !== 'open') return;
    requestAnimationFrame(() => {
      place();
      pane.current?.querySelector('a, button, input')?.focus();
    });
  };
  const close = () => {
    pane.current?.hidePopover();
    button.current?.focus();
  };
  return html`
    <button
      ref=${button}
      type="button"
      class=${`btn${quiet ? ' quiet' : ''}${text ? '' : ' icon'} ${cls}`}
      popovertarget=${id}
      aria-label=${text ? null : label}
      title=${text ? null : label}
      aria-expanded=${open ? 'true' : 'false'}
    >
      ${icon && html`<${Icon} name=${icon} />`}
      ${text && html`<span>${text}</span>`}
    </button>
    <div
      ref=${pane}
      id=${id}
      popover
      class="pane"
      role="group"
      aria-label=${label}
      onToggle=${onToggle}
    >
      ${open && (typeof children === 'function' ? children(close) : children)}
    </div>
  `;
}

/**
 * Items of a menu: `[label, handler or URL, {icon, why, danger, download}]`; an item with a reason in
 * `why` is disabled.
 * @param {{items: any[], close: () => void}} props
 */
export function MenuItems({ items, close }) {
  const move = (event) => {
    const all = [...event.currentTarget.querySelectorAll('a, button:not([disabled])')];
    const at = all.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !all.length) return;
    event.preventDefault();
    all[(at + step + all.length) % all.length].focus();
  };
  return html`
    <ul class="menu" onKeyDown=${move}>
      ${items.filter(Boolean).map(
        ([
          label,
          action,
          { icon = '', why = '', danger = false, download = false, target = null } = {},
        ]) => html`
          <li>
            ${
              typeof action === 'string' && !why
                ? html`
                  <a
                    href=${action}
                    download=${download || null}
                    target=${target}
                    rel=${target ? 'noreferrer' : null}
                    onClick=${() => close()}
                  >
                    ${icon && html`<${Icon} name=${icon} />`}
                    <span>${label}</span>
                  </a>
                `
                : html`
                  <button
                    type="button"
                    class=${danger ? 'danger' : ''}
                    disabled=${!!why}
                    title=${why || null}
                    onClick=${() => {
                      close();
                      action();
                    }}
                  >
                    ${icon && html`<${Icon} name=${icon} />`}
                    <span>
                      ${label}
                      ${why && html`<small>${why}</small>`}
                    </span>
                  </button>
                `
            }
          </li>
        `,
      )}
    </ul>
  `;
}
