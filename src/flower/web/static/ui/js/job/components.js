// A bulk job in short: its state in a word, how far it is, how many tasks came out how.

import { int } from '../format/numbers.js';
import { html } from '../lib.js';
import { T } from '../strings.js';
import { Meter } from '../ui/components.js';

const J = T.jobs;
/** In the order in which trouble is looked for. */
export const OUTCOMES = [
  'failed',
  'unknown',
  'refused',
  'done',
  'skipped',
  'aborted',
  'begun',
  'waiting',
];
const TONE = { failed: 'bad', unknown: 'warn', refused: 'warn' };

export const finishedCount = (job) =>
  job.total - (job.outcomes.waiting ?? 0) - (job.outcomes.begun ?? 0);

export const jobStateText = (job) =>
  job.state === 'running' && job.aborting ? J.aborting : J.states[job.state];

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
        <span class=${TONE[each] ?? 'muted'} title=${J.outcomeHint[each]}>
          ${int(of.outcomes[each])} ${J.outcome[each].toLowerCase()}
        </span>
      `,
    )}
  </span>
`;

/** @param {{of: string}} props */
export const Outcome = ({ of }) => html`
  <span class=${TONE[of] ?? ''} title=${J.outcomeHint[of]}>
    ${J.outcome[of]}
  </span>
`;
