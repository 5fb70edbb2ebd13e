// A process that computes the layers it is told to, on one thread, whenever it is asked: how many times a second.
import {performance} from 'node:perf_hooks';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import {registerIm2win} from 'tfjs-im2win';
import {startBackend} from './bench.ts';
import {runKernel} from './contender.ts';
import type {Layer} from './layer.ts';

const MILLISECONDS = 60;

process.once('message', async (layers: Layer[]) => {
  await startBackend('wasm', 1);
  await registerIm2win({numThreads: 1});
  const operands = layers.map(({xShape, filterShape}) => ({
    x: tf.ones([...xShape]) as tf.Tensor4D,
    filter: tf.ones([...filterShape]) as tf.Tensor4D,
  }));
  const rates = () =>
    layers.map((layer, i) => {
      const start = performance.now();
      let runs = 0;
      do {
        runKernel(layer, operands[i]).dispose();
        ++runs;
      } while (performance.now() - start < MILLISECONDS);
      return runs / (performance.now() - start);
    });
  rates();
  process.on('message', () => process.send?.(rates()));
  process.send?.('ready');
});
