// The workers' script with a hook in it, by which a test decides what becomes of a task.
import {CONTROL} from '../src/wasm/threads/control.ts';

/** The word of the control block that says it: one of thread 0, which nothing else uses. */
export const HOOK = CONTROL.threads + 8;

export const HOOKS = {none: 0, throws: 1, ends: 2, hangs: 3, comesLate: 4} as const;

const CLAIMED = 'try {\n';

export function withHook(script: string): string {
  if (!script.includes(CLAIMED)) throw new Error('the script has no place for the hook');
  return script.replace(
    CLAIMED,
    `${CLAIMED}
    const hook = Atomics.load(control, ${HOOK});
    if (hook === ${HOOKS.throws}) throw new Error('hook');
    if (hook === ${HOOKS.ends}) process.exit(7);
    if (hook === ${HOOKS.hangs}) for (;;);
    if (hook === ${HOOKS.comesLate}) {
      const until = Date.now() + 600;
      while (Date.now() < until);
    }
  `,
  );
}
