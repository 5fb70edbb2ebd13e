// Runs in the page, or in a worker that the page starts with the same script: tfjs's wasm backend with the
// plugin, against the same convolutions by tfjs's cpu backend.
import * as cpu from '@tensorflow/tfjs-backend-cpu';
import {getThreadsCount, setThreadsCount, setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import {type ConvolutionRecord, type Im2winRegistration, registerIm2win} from 'tfjs-im2win';
import {registerIm2win as registerSlim} from 'tfjs-im2win/slim';
import {CONTROL} from '../../src/wasm/threads/control.ts';

export interface Task {
  readonly place: 'page' | 'worker';
  readonly kernels: 'embedded' | 'url' | 'module';
  /** Of tfjs; also half of the cores that the page is to believe in. */
  readonly threads: number;
  /** Has tfjs take its build without threads where the page is isolated, on a heap that im2win shares. */
  readonly plainBuild?: boolean;
  readonly numThreads?: number;
  readonly workerUrl?: string;
  /** Whether stock and im2win are to be timed. */
  readonly timed: boolean;
}

export interface PageResult {
  readonly isolated: boolean;
  /** Whether tfjs's memory is shared. */
  readonly shared: boolean;
  readonly threads: number;
  readonly im2winThreads: ThreadsResult;
  readonly simd: string;
  readonly report: ConvolutionRecord[];
  /** The error of a convolution that neither stock nor im2win can compute. */
  readonly refusal?: string;
  readonly largestDifference: number;
  readonly ownBytesAfter: number;
  readonly times?: Times;
}

/** What im2win's threads did. */
export interface ThreadsResult {
  /** At the end. */
  readonly count: number;
  readonly reason?: string;
  /** Whether a worker computed anything. */
  readonly workersComputed: boolean;
  /** Whether all results were those of one thread, to the bit. */
  readonly sameBits: boolean;
}

/** Median milliseconds of one convolution, 56×56×64 3×3 → 64. */
export interface Times {
  readonly stock: number;
  readonly auto: number;
}

async function run(task: Task): Promise<PageResult> {
  if (task.place === 'worker') return inWorker({...task, place: 'page'});
  void cpu.version_cpu;
  const im2win = await start(task);
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
  const im2winThreads = await tryThreads(im2win);
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
    im2winThreads,
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

async function start(task: Task): Promise<Im2winRegistration> {
  // tfjs takes half of the machine's logical cores at the most.
  Object.defineProperty(Object.getPrototypeOf(navigator), 'hardwareConcurrency', {
    get: () => 2 * task.threads,
  });
  setWasmPaths(`${origin}/tfjs/`);
  setThreadsCount(task.threads);
  if (task.plainBuild) tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  // A heap is shared as it starts; for tfjs's threaded build the order does not matter.
  else await tf.setBackend('wasm');
  const im2win = await register(task);
  await tf.setBackend('wasm');
  return im2win;
}

/** Threads on an instance of tfjs's backend, and on the one that takes its place; they go on computing. */
async function renew(task: Task): Promise<ThreadsResult[]> {
  const im2win = await start(task);
  const first = await tryThreads(im2win);
  const factory = tf.findBackendFactory('wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory);
  await tf.setBackend('wasm');
  controls.length = 0;
  const second = await tryThreads(im2win);
  const x = tf.ones([1, 56, 56, 64]) as tf.Tensor4D;
  const filter = tf.ones([3, 3, 64, 64]) as tf.Tensor4D;
  setInterval(() => tf.conv2d(x, filter, 1, 'same').dispose(), 0);
  return [first, second];
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

type RegisterTask = Pick<Task, 'kernels' | 'numThreads' | 'workerUrl'>;

/** Without a backend: where WebAssembly is forbidden, tfjs has none. */
async function register({kernels, numThreads, workerUrl}: RegisterTask): Promise<Im2winRegistration> {
  const options = {numThreads, workerUrl};
  const relaxed = '/package/im2win-relaxed.wasm';
  const strict = '/package/im2win-strict.wasm';
  switch (kernels) {
    case 'embedded':
      return registerIm2win(options);
    case 'url':
      return registerSlim({...options, wasmUrl: {relaxed, strict}});
    case 'module':
      return registerSlim({...options, module: await WebAssembly.compileStreaming(fetch(strict))});
  }
}

function values(compute: () => tf.Tensor): tf.TypedArray {
  return tf.tidy(() => compute().dataSync());
}

/** The control blocks of im2win's pools on this page, or in this worker. */
const controls: Int32Array[] = [];

if (typeof Worker !== 'undefined') {
  const {postMessage} = Worker.prototype;
  Worker.prototype.postMessage = function (message, options) {
    if (message?.control instanceof Int32Array) controls.push(message.control);
    postMessage.call(this, message, options as StructuredSerializeOptions);
  };
}

/** Convolves on one thread, and on all there are until a worker has taken part, or none does within eight seconds. */
async function tryThreads(im2win: Im2winRegistration): Promise<ThreadsResult> {
  const x = tf.randomUniform([1, 56, 56, 64], -1, 1, 'float32', 4) as tf.Tensor4D;
  const filter = tf.randomUniform([3, 3, 64, 64], -1, 1, 'float32', 5) as tf.Tensor4D;
  const convolve = () => values(() => tf.conv2d(x, filter, 1, 'same'));
  const {numThreads} = im2win;
  if (numThreads > 1) im2win.setNumThreads(1);
  const serial = convolve();
  if (numThreads > 1) im2win.setNumThreads(numThreads);
  let workersComputed = false;
  let sameBits = true;
  for (const start = performance.now(); !workersComputed && performance.now() - start < 8000; ) {
    sameBits &&= convolve().every((value, i) => Object.is(value, serial[i]));
    workersComputed = controls.some((control) => Atomics.load(control, CONTROL.done) > 0);
    // Workers begin once the page is back at its event loop.
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (im2win.numThreads === 1) break;
  }
  tf.dispose([x, filter]);
  return {count: im2win.numThreads, reason: im2win.whyOneThread, workersComputed, sameBits};
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

Object.assign(globalThis, {run, register, renew});

if (typeof document === 'undefined') {
  addEventListener('message', async ({data}: MessageEvent<Task>) => {
    postMessage(await run(data).catch((error) => error));
  });
}
