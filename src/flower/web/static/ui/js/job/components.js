// The state, progress and outcomes of a bulk job.

import { int } from '../format/numbers.js';
import { html } from '../lib.js';
import * as T from '../strings.js';
import { Meter } from '../ui/components.js';

const J = T.jobs;
/** All outcomes of job items, problems first. */
export const OUTCOMES = [
  'failed',
  'unknown',
  'refused',
  'done',
  'skipped',
  'not_run',
  'in_progress',
  'waiting',
];
const TONE = { failed: 'bad', unknown: 'warn', refused: 'warn' };

export const finishedCount = (job) =>
  job.total - (job.outcomes.waiting ?? 0) - (job.outcomes.in_progress ?? 0);

export const jobStateText = (job) =>
  job.state === 'running' && job.stopping ? J.stopping : J.states[job.state];

/** @param {{of: any}} props */
export const Progress = ({ of }) => html`
  <span class="progress">
    <${Meter}
      part=${of.total ? finishedCount(of) / of.total : 1}
      tone=${of.outcomes.failed ? 'bad' : ''}
      label=${J.progress(int(finishedCount(of)), int(of.total))}
    />
    <small aria-hidden="true">${J.progress(int(finishedCount(of)), int(of.total))}</small>
  </span>
`;

/** @param {{of: any}} props */
export const Outcomes = ({ of }) => html`
  <span class="outcomes">
    ${OUTCOMES.filter((each) => of.outcomes[each]).map(
      (each) => html`
        <span class=${TONE[each] ?? 'muted'} title=${J.outcomeHints[each]}>
          ${int(of.outcomes[each])} ${J.outcomes[each].toLowerCase()}
        </span>
      `,
    )}
  </span>
`;

/** @param {{of: string}} props */
export const Outcome = ({ of }) => html`
  <span class=${TONE[of] ?? ''} title=${J.outcomeHints[of]}>
    ${J.outcomes[of]}
  </span>
`;
