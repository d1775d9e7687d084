// The menu of the time range, of all pages with a search.

import { moment } from '../format/time.js';
import { html, useState } from '../lib.js';
import * as T from '../strings.js';
import { MenuItems, Popover } from '../ui/menu.js';
import { TIME_KEYS } from './urlState.js';

/**
 * @param {{start: string, end: string, by: string, onRange: (start: string, end: string) => void,
 *   onBy: (by: string) => void}} props
 */
export function RangeMenu({ start, end, by, onRange, onBy }) {
  const [from, setFrom] = useState(start);
  const [to, setTo] = useState(end);
  const isPreset = !end && start in T.tasks.ranges;
  const format = (text) => (/^\d{9,}(\.\d+)?$/.test(text) ? moment(Number(text)) : text);
  const range = isPreset
    ? T.tasks.ranges[start]
    : T.tasks.brushed(format(start) || '…', format(end) || '…');
  const text = by ? T.tasks.rangeBy(range, T.tasks.timeKeys[by]) : range;
  return html`
    <${Popover} label=${T.tasks.range} icon="clock" text=${text} cls="range">
      ${(close) => html`
        <${MenuItems}
          close=${close}
          items=${Object.entries(T.tasks.ranges).map(([value, label]) => [
            label,
            () => onRange(value, ''),
            { icon: isPreset && value === start ? 'check' : '' },
          ])}
        />
        <hr />
        <form
          class="pad"
          onSubmit=${(e) => {
            e.preventDefault();
            close();
            onRange(from.trim(), to.trim());
          }}
        >
          <label class="f">
            ${T.tasks.from}
            <input
              class="field"
              value=${from}
              placeholder=${T.tasks.rangeHint}
              onInput=${(e) => setFrom(e.target.value)}
            />
          </label>
          <label class="f">
            ${T.tasks.to}
            <input class="field" value=${to} onInput=${(e) => setTo(e.target.value)} />
          </label>
          <button class="btn">${T.tasks.apply}</button>
        </form>
        <hr />
        <h2>${T.tasks.timeKey}</h2>
        <${MenuItems}
          close=${close}
          items=${TIME_KEYS.map((key) => [
            T.tasks.timeKeys[key],
            () => onBy(key),
            { icon: key === by ? 'check' : '' },
          ])}
        />
      `}
    </${Popover}>
  `;
}
