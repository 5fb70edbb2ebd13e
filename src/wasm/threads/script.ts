import {TASK_KERNELS} from '../entries.generated.ts';
import {CONTROL, SPIN_MS, STATE, THREAD, THREAD_WORDS} from './control.ts';

/** What a worker is given. */
export interface WorkerData {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Its number, from 1. */
  readonly thread: number;
}

/**
 * All that a worker runs, in Node as in a browser. It is text, because a function's own is changed by bundlers.
 *
 * A worker touches tfjs's heap by the kernels alone. It claims a task first and reads the stage then: a stage with a
 * claimed task does not end, so that what is read is of the task.
 */
export const WORKER_SCRIPT = `'use strict';
function work({control, module, memory, thread}) {
  const {exports} = new WebAssembly.Instance(module, {env: {memory}});
  const kernels = ${JSON.stringify(TASK_KERNELS)}.map((name) => exports[name]);
  const own = ${CONTROL.threads} + ${THREAD_WORDS} * thread;
  const wake = own + ${THREAD.wake};
  const state = own + ${THREAD.state};
  const pause = Atomics.pause || (() => {});
  let seen = Atomics.load(control, wake);
  if (seen < 0) return;
  Atomics.store(control, state, ${STATE.awake});
  for (;;) {
    while (Atomics.load(control, ${CONTROL.unclaimed}) > 0) {
      const left = Atomics.sub(control, ${CONTROL.unclaimed}, 1);
      if (left <= 0) break;
      const grain = control[${CONTROL.grain}];
      const first = control[${CONTROL.first}] + (control[${CONTROL.claims}] - left) * grain;
      const last = Math.min(first + grain, control[${CONTROL.last}]);
      const scratch = control[${CONTROL.scratch}] + thread * control[${CONTROL.scratchBytes}];
      try {
        kernels[control[${CONTROL.kernel}]](control[${CONTROL.job}], first, last, scratch);
      } catch {
        Atomics.store(control, ${CONTROL.failed}, 1);
      }
      Atomics.add(control, ${CONTROL.done}, 1);
      if (Atomics.load(control, ${CONTROL.callerSleeps}) !== 0) Atomics.notify(control, ${CONTROL.done});
    }
    const until = performance.now() + ${SPIN_MS};
    let woken = false;
    do {
      for (let i = 0; i < 32 && !woken; ++i) {
        pause();
        woken = Atomics.load(control, wake) !== seen;
      }
    } while (!woken && performance.now() < until);
    if (!woken) {
      Atomics.store(control, state, ${STATE.asleep});
      Atomics.wait(control, wake, seen);
      Atomics.store(control, state, ${STATE.awake});
    }
    seen = Atomics.load(control, wake);
    if (seen < 0) return;
  }
}
if (typeof require === 'function') work(require('node:worker_threads').workerData);
else self.onmessage = ({data}) => {
  work(data);
  self.close();
};
`;
