// One network's first run in a process of its own, printed as JSON. Arguments:
// the network's name, stock or im2win.
import {performance} from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {heapBytes, NETWORKS} from './networks.ts';

export interface FirstRun {
  /** Registration included. */
  readonly milliseconds: number;
  readonly heapGrowth: number;
  /** The library's own, exact; 0 for stock. */
  readonly ownBytes: number;
}

const [, , name, contender] = process.argv;
await tf.setBackend('wasm');
const network = await NETWORKS[name]();
const before = heapBytes();
const start = performance.now();
const registration = contender === 'im2win' ? await registerIm2win() : undefined;
for (const output of network.predict()) output.dataSync();
const result: FirstRun = {
  milliseconds: performance.now() - start,
  heapGrowth: heapBytes() - before,
  ownBytes: registration?.memory().ownBytes ?? 0,
};
console.log(JSON.stringify(result));
