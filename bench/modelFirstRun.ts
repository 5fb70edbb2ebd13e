// One network's first run in a process of its own, printed as JSON. Arguments:
// the network's name, and the threads of im2win, 0 for stock.
import {performance} from 'node:perf_hooks';
import {registerIm2win} from 'tfjs-im2win';
import {startBackend} from './bench.ts';
import {heapBytes, NETWORKS} from './networks.ts';

export interface FirstRun {
  /** Registration included. */
  readonly milliseconds: number;
  readonly heapGrowth: number;
  /** The library's own, exact; 0 for stock. */
  readonly ownBytes: number;
}

const [, , name, threads] = process.argv;
const numThreads = Number(threads);
await startBackend('wasm', Math.max(1, numThreads));
const network = await NETWORKS[name]();
const before = heapBytes();
const start = performance.now();
const registration = numThreads > 0 ? await registerIm2win({numThreads}) : undefined;
for (const output of await network.predict()) output.dataSync();
const result: FirstRun = {
  milliseconds: performance.now() - start,
  heapGrowth: heapBytes() - before,
  ownBytes: registration?.memory().ownBytes ?? 0,
};
console.log(JSON.stringify(result));
