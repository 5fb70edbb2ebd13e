// Workers as the pages see them.
import {type Remote, wrap} from 'comlink';

/** What both pages say where im2win would leave everything to stock. */
export const NO_SIMD =
  'This browser has no WebAssembly SIMD, which im2win needs. A current Chrome, Edge, Firefox or Safari has it.';

export interface RunningWorker<T> {
  readonly api: Remote<T>;
  /** The call's result. Rejects as well if the worker crashes, or `signal` is aborted. */
  orEnd<R>(call: Promise<R>): Promise<R>;
  end(): void;
}

export function startWorker<T>(worker: Worker, signal: AbortSignal): RunningWorker<T> {
  const ended = new Promise<never>((_, reject) => {
    worker.addEventListener('error', ({message}) =>
      reject(
        new Error(
          `The worker stopped: ${message || 'its code could not be loaded'}. Try again, or reload the page.`,
        ),
      ),
    );
    signal.addEventListener('abort', () => reject(signal.reason));
  });
  // It may end while nobody waits.
  ended.catch(() => {});
  return {
    api: wrap<T>(worker),
    orEnd: (call) => Promise.race([call, ended]),
    end: () => worker.terminate(),
  };
}
