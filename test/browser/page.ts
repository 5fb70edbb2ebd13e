// Runs in the page: tfjs's threaded build with the plugin, against the same
// convolutions by tfjs's cpu backend.
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import {getThreadsCount, setThreadsCount, setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {type ConvolutionRecord, registerIm2win} from 'tfjs-im2win';

export interface PageResult {
  isolated: boolean;
  shared: boolean;
  threads: number;
  simd: string;
  report: ConvolutionRecord[];
  largestDifference: number;
  ownBytesAfter: number;
}

async function run(threads: number): Promise<PageResult> {
  void cpu.version_cpu;
  setWasmPaths('/wasm/');
  setThreadsCount(threads);
  await tf.setBackend('wasm');
  const im2win = await registerIm2win();
  const x = tf.randomUniform([2, 20, 21, 12], -1, 1, 'float32', 1) as tf.Tensor4D;
  const filter = tf.randomUniform([3, 3, 12, 20], -1, 1, 'float32', 2) as tf.Tensor4D;
  const bias = tf.randomUniform([20], -1, 1, 'float32', 3) as tf.Tensor1D;
  const convolutions = () =>
    tf.tidy(() => [
      tf.fused.conv2d({x, filter, bias, strides: 1, pad: 'same', activation: 'relu'}).dataSync(),
      // Stock gets this one wrong: 'same' with a stride larger than the filter.
      tf.conv2d(x, filter, 7, 'same').dataSync(),
    ]);
  const outputs = convolutions();
  im2win.setAlgorithm('im2win');
  outputs.push(...convolutions());
  const {buffer} = (tf.backend() as unknown as {wasm: {HEAPU8: Uint8Array}}).wasm.HEAPU8;
  const report = im2win.report();
  im2win.unregister();
  const {ownBytes} = im2win.memory();
  const usedThreads = getThreadsCount();

  await tf.setBackend('cpu');
  const expected = convolutions();
  const largestDifference = Math.max(
    ...outputs.flatMap((values, i) => Array.from(values, (value, j) => Math.abs(value - expected[i % 2][j]))),
  );
  return {
    isolated: crossOriginIsolated,
    shared: buffer instanceof SharedArrayBuffer,
    threads: usedThreads,
    simd: im2win.simd,
    report,
    largestDifference,
    ownBytesAfter: ownBytes,
  };
}

Object.assign(globalThis, {run});
