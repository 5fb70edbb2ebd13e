// Runs both contenders on the same pictures, in turn, each in a worker.
import {proxy} from 'comlink';
import {NO_SIMD, startWorker} from './startWorker.ts';
import {CONTENDERS, type Each, type NetworkName, type Run, type Versions} from './types.ts';
import type {Contender} from './workers/contender.ts';

export interface Comparison {
  readonly network: NetworkName;
  /** Whether im2win runs the network after `optimizeModel`. */
  readonly fewerKernels: boolean;
  /** The network's inputs, all of one size. */
  readonly pictures: readonly ImageData[];
  readonly signal: AbortSignal;
  /** Told the share of both networks that has come, 0 to 1. */
  onLoading(share: number): void;
  /** The networks are loaded: runs begin. */
  onReady(versions: Versions): void;
  onRun(index: number, run: Each<Run>): void;
}

/**
 * @throws Error in words for the page's reader, if a worker or a network cannot be loaded, if the engine has
 *     no SIMD, or if a worker crashes; the reason of `signal` if it is aborted.
 */
export async function compare({
  network,
  fewerKernels,
  pictures,
  signal,
  onLoading,
  onReady,
  onRun,
}: Comparison): Promise<void> {
  const start = () =>
    startWorker<Contender>(
      new Worker(new URL('./workers/contender.ts', import.meta.url), {type: 'module'}),
      signal,
    );
  const workers = {stock: start(), im2win: start()};
  try {
    const shares = {stock: 0, im2win: 0};
    const versions = {} as Each<Versions>;
    for (const name of CONTENDERS) {
      const {api, orEnd} = workers[name];
      const onProgress = proxy((share: number) => {
        shares[name] = share;
        onLoading((shares.stock + shares.im2win) / 2);
      });
      versions[name] = await orEnd(api.start(name, network, name === 'im2win' && fewerKernels, onProgress));
    }
    if (versions.im2win.simd === 'none') throw new Error(NO_SIMD);
    onReady(versions.im2win);
    for (const [index, picture] of pictures.entries()) {
      const runs = {} as Each<Run>;
      // Never both at once, and each first in its turn.
      for (const name of index % 2 === 0 ? CONTENDERS : [...CONTENDERS].reverse()) {
        const {api, orEnd} = workers[name];
        runs[name] = await orEnd(api.run(picture));
      }
      signal.throwIfAborted();
      onRun(index, runs);
    }
  } finally {
    for (const name of CONTENDERS) workers[name].end();
  }
}
