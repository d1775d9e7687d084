// How long tasks are stored, as text.
import { bootstrapData } from './bootstrapData.js';
import { int } from './format/numbers.js';
import { span } from './format/time.js';
import * as T from './strings.js';

export const retentionText = () =>
  T.tasks.retention(
    bootstrapData.max_age ? span(bootstrapData.max_age) : '',
    bootstrapData.max_tasks ? int(bootstrapData.max_tasks) : '',
  );
