// One contender's first run in a process of its own: prints its time and how far
// the heap grew, as JSON. Argument: stock or im2win.
import {performance} from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {heapBytes, loadNetwork, upscale} from './network.ts';
import {centreCrop, readPhotograph} from './photograph.ts';

export interface FirstRun {
  /** Milliseconds from the first call to its result; registration included. */
  milliseconds: number;
  heapGrowth: number;
}

await tf.setBackend('wasm');
const network = await loadNetwork();
const crop = centreCrop(readPhotograph(new URL('chelsea.png', import.meta.url)), Number(process.argv[3]));
const heapBefore = heapBytes();
const start = performance.now();
if (process.argv[2] === 'im2win') await registerIm2win();
upscale(network, crop).dataSync();
const result: FirstRun = {
  milliseconds: performance.now() - start,
  heapGrowth: heapBytes() - heapBefore,
};
console.log(JSON.stringify(result));
