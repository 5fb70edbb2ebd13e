// One contender's first run in a process of its own: prints its time and how far
// the heap grew, as JSON. Arguments: stock, or im2win on one thread or all; and the crop's side.
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

const [, , contender, side] = process.argv;
const numThreads = contender === 'all' ? undefined : 1;
// Registered once before, for the backend to start on a heap that threads can share.
const before = await registerIm2win({numThreads});
await tf.setBackend('wasm');
before.unregister();
const network = await loadNetwork();
const crop = centreCrop(readPhotograph(new URL('chelsea.png', import.meta.url)), Number(side));
const heapBefore = heapBytes();
const start = performance.now();
if (contender !== 'stock') await registerIm2win({numThreads});
upscale(network, crop).dataSync();
const result: FirstRun = {
  milliseconds: performance.now() - start,
  heapGrowth: heapBytes() - heapBefore,
};
console.log(JSON.stringify(result));
