import { html } from '../lib.js';
import { get } from '../api.js';
import { useResource } from '../resource.js';
import { T } from '../texts.js';
import { Page } from '../shell/page.js';
import { Loaded, Panel } from '../ui/panels.js';
import { RowTime, State, TaskLink, Name } from '../ui/parts.js';

export default function Tasks() {
  const tasks = useResource((signal) => get('tasks', { limit: 50 }, { signal }), []);
  return html`<${Page} title=${T.tasks.title}><div class="wrap"><${Panel} title=${T.tasks.grid}><${Loaded} of=${tasks}>${(data) => html`<table class="t"><tbody>${data.tasks.map((task) => html`<tr><td><${State} s=${task.state} /></td><td><${Name} n=${task.name} /></td><td><${TaskLink} uuid=${task.uuid} /></td><td class="right"><${RowTime} at=${task.received} /></td></tr>`)}</tbody></table>`}</${Loaded}></${Panel}></div></${Page}>`;
}
