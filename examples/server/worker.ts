// A thread of its own for the network: it computes for tenths of a second at a time, and the service answers meanwhile.
import {parentPort, workerData} from 'node:worker_threads';
import {type Description, type Kernels, startNetwork} from './network.ts';
import {decode, encodePng} from './picture.ts';
import {Refusal} from './refusal.ts';

export interface WorkerSetup {
  readonly kernels: Kernels;
  readonly threads?: number;
  readonly mostPixels: number;
}

/** The first message of a worker. */
export interface Ready {
  readonly description: Description;
}

const STAGES = ['decode', 'network', 'encode'] as const;

export interface Upscaled {
  readonly png: Uint8Array;
  /** What each stage took. */
  readonly seconds: Readonly<Record<(typeof STAGES)[number], number>>;
}

/** The answer to a file: the picture, or what is wrong with the file. */
export type Answer = Upscaled | {readonly refused: number; readonly message: string};

// V8 compiles what runs often once more, and the filters are packed: not at the first visitor's cost.
const WARM_RUNS = 10;
const WARM_SIDE = 64;

const {kernels, threads, mostPixels}: WorkerSetup = workerData;
const network = await startNetwork(kernels, threads);

const answerTo = async (file: Uint8Array): Promise<Answer> => {
  const times = [performance.now()];
  const picture = decode(file, mostPixels);
  times.push(performance.now());
  const upscaled = await network.upscale(picture);
  times.push(performance.now());
  const png = encodePng(upscaled);
  times.push(performance.now());
  const seconds = STAGES.map((stage, i) => [stage, (times[i + 1] - times[i]) / 1000]);
  return {png, seconds: Object.fromEntries(seconds)};
};

const grey = new Uint8Array(3 * WARM_SIDE * WARM_SIDE).fill(128);
const warm = encodePng({width: WARM_SIDE, height: WARM_SIDE, rgb: grey});
for (let run = 0; run < WARM_RUNS; ++run) await answerTo(warm);

parentPort?.on('message', async (file: Uint8Array) => {
  try {
    parentPort?.postMessage(await answerTo(file));
  } catch (error) {
    // Anything else ends this thread; the pool starts another.
    if (!(error instanceof Refusal)) throw error;
    parentPort?.postMessage({refused: error.statusCode, message: error.message} satisfies Answer);
  }
});
const ready: Ready = {description: network.description};
parentPort?.postMessage(ready);
