import * as T from '../strings.js';
import { toast } from './toast.js';

/**
 * A function whose module is loaded when it is called first: for dialogs that few visits open.
 * @param {() => Promise<any>} load
 * @param {string} name of the function in the module
 * @returns {(...args: any[]) => Promise<any>}
 */
export const onDemand =
  (load, name) =>
  (...args) =>
    load().then(
      (module) => module[name](...args),
      () => toast(T.problem.unreachable),
    );
