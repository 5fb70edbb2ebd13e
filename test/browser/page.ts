// Runs in the page, or in a worker that the page starts with the same script: tfjs's wasm backend with the
// plugin, against the same convolutions by tfjs's cpu backend.
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import {getThreadsCount, setThreadsCount, setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {type ConvolutionRecord, type Im2winRegistration, registerIm2win} from 'tfjs-im2win';
import {registerIm2win as registerSlim} from 'tfjs-im2win/slim';

export interface Task {
  readonly place: 'page' | 'worker';
  readonly kernels: 'embedded' | 'url' | 'module';
  readonly threads: number;
  /** Whether stock and im2win are to be timed. */
  readonly timed: boolean;
}

export interface PageResult {
  readonly isolated: boolean;
  /** Whether tfjs's memory is shared. */
  readonly shared: boolean;
  readonly threads: number;
  readonly simd: string;
  readonly report: ConvolutionRecord[];
  /** The error of a convolution that neither stock nor im2win can compute. */
  readonly refusal?: string;
  readonly largestDifference: number;
  readonly ownBytesAfter: number;
  readonly times?: Times;
}

/** Median milliseconds of one convolution, 56×56×64 3×3 → 64. */
export interface Times {
  readonly stock: number;
  readonly auto: number;
}

async function run(task: Task): Promise<PageResult> {
  if (task.place === 'worker') return inWorker({...task, place: 'page'});
  void cpu.version_cpu;
  // tfjs takes half of the machine's logical cores at the most.
  Object.defineProperty(Object.getPrototypeOf(navigator), 'hardwareConcurrency', {
    get: () => 2 * task.threads,
  });
  setWasmPaths(`${origin}/tfjs/`);
  setThreadsCount(task.threads);
  await tf.setBackend('wasm');
  const im2win = await register(task.kernels);
  const x = tf.randomUniform([2, 20, 21, 12], -1, 1, 'float32', 1) as tf.Tensor4D;
  const filter = tf.randomUniform([3, 3, 12, 20], -1, 1, 'float32', 2) as tf.Tensor4D;
  const bias = tf.randomUniform([20], -1, 1, 'float32', 3) as tf.Tensor1D;
  const fused = () => tf.fused.conv2d({x, filter, bias, strides: 1, pad: 'same', activation: 'relu'});
  // Stock gets this one wrong: 'same' with a stride larger than the filter.
  const wrong = () => tf.conv2d(x, filter, 7, 'same');
  const outputs = [values(fused)];
  let refusal: string | undefined;
  if (im2win.simd !== 'none') {
    try {
      outputs.push(values(wrong));
    } catch (error) {
      refusal = (error as Error).message;
    }
  }
  im2win.setAlgorithm('im2win');
  outputs.push(values(fused));
  const report = im2win.report();
  const {buffer} = (tf.backend() as unknown as {wasm: {HEAPU8: Uint8Array}}).wasm.HEAPU8;
  const times = task.timed ? time(im2win) : undefined;
  im2win.unregister();
  const {ownBytes} = im2win.memory();
  const threads = getThreadsCount();

  await tf.setBackend('cpu');
  const expected = [fused, ...(outputs.length === 3 ? [wrong] : []), fused].map(values);
  return {
    isolated: crossOriginIsolated,
    shared: typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer,
    threads,
    simd: im2win.simd,
    report,
    refusal,
    largestDifference: Math.max(
      ...outputs.flatMap((output, i) => Array.from(output, (value, j) => Math.abs(value - expected[i][j]))),
    ),
    ownBytesAfter: ownBytes,
    times,
  };
}

function inWorker(task: Task): Promise<PageResult> {
  const worker = new Worker('/page.js');
  Object.assign(globalThis, {worker}); // A worker that nothing refers to may be collected.
  return new Promise((resolve, reject) => {
    worker.onmessage = ({data}: MessageEvent<PageResult | Error>) =>
      data instanceof Error ? reject(data) : resolve(data);
    worker.onerror = ({message}) => reject(new Error(message));
    worker.postMessage(task);
  });
}

/** Without a backend: where WebAssembly is forbidden, tfjs has none. */
async function register(kernels: Task['kernels']): Promise<Im2winRegistration> {
  const relaxed = '/package/im2win-relaxed.wasm';
  const strict = '/package/im2win-strict.wasm';
  switch (kernels) {
    case 'embedded':
      return registerIm2win();
    case 'url':
      return registerSlim({wasmUrl: {relaxed, strict}});
    case 'module':
      return registerSlim({module: await WebAssembly.compileStreaming(fetch(strict))});
  }
}

function values(compute: () => tf.Tensor): tf.TypedArray {
  return tf.tidy(() => compute().dataSync());
}

function time(im2win: Im2winRegistration): Times {
  const x = tf.ones([1, 56, 56, 64]) as tf.Tensor4D;
  const filter = tf.ones([3, 3, 64, 64]) as tf.Tensor4D;
  const samples = {stock: [] as number[], auto: [] as number[]};
  for (let repetition = 0; repetition < 60; ++repetition) {
    for (const algorithm of ['stock', 'auto'] as const) {
      im2win.setAlgorithm(algorithm);
      const start = performance.now();
      const y = tf.conv2d(x, filter, 1, 'same');
      y.dataSync();
      y.dispose();
      // Before that, the engine may still be compiling.
      if (repetition >= 40) samples[algorithm].push(performance.now() - start);
    }
  }
  const median = (of: number[]) => of.sort((a, b) => a - b)[of.length / 2];
  return {stock: median(samples.stock), auto: median(samples.auto)};
}

Object.assign(globalThis, {run, register});

if (typeof document === 'undefined') {
  addEventListener('message', async ({data}: MessageEvent<Task>) => {
    postMessage(await run(data).catch((error) => error));
  });
}
