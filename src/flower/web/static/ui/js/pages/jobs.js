// The bulk jobs page: running and finished jobs with their outcomes.

import { get } from '../api.js';
import { int } from '../format/numbers.js';
import { line } from '../format/text.js';
import { jobStateText, Outcomes, Progress } from '../job/components.js';
import { html } from '../lib.js';
import { encodeSegment, href, searchAddress } from '../router.js';
import { Page } from '../shell/page.js';
import * as T from '../strings.js';
import { Time } from '../ui/components.js';
import { EmptyState, Loaded } from '../ui/panels.js';
import { useResource } from '../useResource.js';

const J = T.jobs;

export default function Jobs() {
  const jobs = useResource((signal) => get('jobs', { limit: 200 }, { signal }), [], {
    every: 1.5,
  });
  return html`
    <${Page} title=${T.pages.jobs}>
      <div class="wrap">
        <${Loaded} of=${jobs}>
          ${(data) =>
            data.jobs.length
              ? html`<${Table} jobs=${data.jobs} />`
              : html`
                <${EmptyState}
                  title=${J.noneTitle}
                  actions=${html`<a class="btn" href=${href('tasks')}>
                      ${J.chooseTasks}
                    </a>`}
                >
                  <p>${J.noneText}</p>
                </${EmptyState}>
              `}
        </${Loaded}>
      </div>
    </${Page}>
  `;
}

function Table({ jobs }) {
  const C = J.columns;
  return html`
    <section class="panel" aria-label=${T.pages.jobs}>
      <div class="scroll">
        <table class="t">
          <thead>
            <tr>
              <th>${C.action}</th>
              <th>${C.state}</th>
              <th class="wide">${C.progress}</th>
              <th>${C.outcomes}</th>
              <th>${C.query}</th>
              <th>${C.createdBy}</th>
              <th>${C.created}</th>
            </tr>
          </thead>
          <tbody>
            ${jobs.map(
              (job) => html`
                <tr key=${job.id}>
                  <td class="nm">
                    <a class="link" href=${href(`jobs/${encodeSegment(job.id)}`)}>
                      ${J.actions[job.action]}
                    </a>${' '}
                    <span class="muted">${int(job.total)}</span>
                  </td>
                  <td>${jobStateText(job)}</td>
                  <td>
                    <${Progress} of=${job} />
                  </td>
                  <td>
                    <${Outcomes} of=${job} />
                  </td>
                  <td class="mono trunc query-cell">
                    ${
                      job.query
                        ? html`
                          <a href=${searchAddress(job.query)} title=${line(job.query)}>
                            ${line(job.query, 120)}
                          </a>
                        `
                        : html`<span class="muted">${J.selectedTasks}</span>`
                    }
                  </td>
                  <td>
                    ${
                      job.created_by
                        ? line(job.created_by, 60)
                        : html`<span class="muted">${T.anonymous}</span>`
                    }
                  </td>
                  <td>
                    <${Time} at=${job.created_at} natural=${false} />
                  </td>
                </tr>
              `,
            )}
          </tbody>
        </table>
      </div>
    </section>
  `;
}
