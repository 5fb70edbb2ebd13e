// Runs in a page: chains of convolutions and tfjs's own kernels, with tfjs's threads and without them.
import {getThreadsCount, setThreadsCount, setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {registerIm2win} from 'tfjs-im2win';
import {PAPER_LAYERS} from './layer.ts';

/** tfjs's build with its own threads, with im2win or without; and its other one on a heap that im2win shares. */
export type Contender = 'threaded' | 'plain' | 'stock';

const THREADS = 2;

const kept = new Map<string, tf.Tensor4D>();

function random(shape: readonly [number, number, number, number], seed: number): tf.Tensor4D {
  const name = `${seed}: ${shape}`;
  const known = kept.get(name) ?? tf.keep(tf.randomUniform<tf.Rank.R4>([...shape], -1, 1, 'float32', seed));
  kept.set(name, known);
  return known;
}

const conv = (x: tf.Tensor4D, outChannels: number) =>
  tf.conv2d(x, random([3, 3, x.shape[3], outChannels], 2), 1, 'same');
const maxPool = (x: tf.Tensor4D, strides: number) => tf.maxPool(x, strides + 1, strides, 'same');
const input = (side: number, channels: number) => random([1, side, side, channels], 1);

const CHAINS: Readonly<Record<string, () => tf.Tensor>> = {
  '56²×64: conv → conv': () => conv(conv(input(56, 64), 64), 64),
  '56²×64: conv → relu → conv': () => conv(tf.relu(conv(input(56, 64), 64)), 64),
  '56²×64: conv → max-pool → conv': () => conv(maxPool(conv(input(56, 64), 64), 1), 64),
  '28²×128: conv → max-pool → conv': () => conv(maxPool(conv(input(28, 128), 128), 1), 128),
  '112²×64: conv → max-pool/2 → conv → max-pool/2 → conv': () =>
    conv(maxPool(conv(maxPool(conv(input(112, 64), 64), 2), 128), 2), 256),
  ...Object.fromEntries(
    PAPER_LAYERS.map(({name, xShape, filterShape, strides, pad}) => [
      name,
      () => tf.conv2d(random(xShape, 1), random(filterShape, 2), [...strides], pad),
    ]),
  ),
};

/** @returns The chains' names. */
async function open(contender: Contender): Promise<string[]> {
  // tfjs takes half of the machine's logical cores at the most.
  Object.defineProperty(Object.getPrototypeOf(navigator), 'hardwareConcurrency', {get: () => 2 * THREADS});
  setWasmPaths(`${origin}/tfjs/`);
  setThreadsCount(THREADS);
  if (contender === 'plain') tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  const im2win = contender === 'stock' ? undefined : await registerIm2win({numThreads: THREADS});
  await tf.setBackend('wasm');
  const names = Object.keys(CHAINS);
  for (const name of names) time(name, 1);
  // Workers begin once the page is back at its event loop.
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const name of names) time(name, 3);
  if (getThreadsCount() !== (contender === 'plain' ? 1 : THREADS) || im2win?.whyOneThread !== undefined) {
    throw new Error(`${contender}: ${getThreadsCount()} threads of tfjs; ${im2win?.whyOneThread}`);
  }
  return names;
}

/** The median of the milliseconds of so many runs. */
function time(name: string, runs: number): number {
  const times = Array.from({length: runs}, () => {
    const start = performance.now();
    tf.tidy(() => void CHAINS[name]());
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[runs >> 1];
}

Object.assign(globalThis, {openContender: open, time});
