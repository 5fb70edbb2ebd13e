// The pool of threads, on a heap of tfjs's that is shared: the bits of one thread, and what happens when a worker does
// not do as it should. The workers' script has a hook in it, by which a test decides what becomes of a task.
import '@tensorflow/tfjs-layers'; // Registers tfjs's own gradients.
import * as tf from '@tensorflow/tfjs-core';
import {kernelsOf} from '../bench/wasmState.ts';
import {convGeometry} from '../src/geometry.ts';
import {type Im2winRegistration, im2winConv2d, registerIm2win} from '../src/index.ts';
import {planOurs} from '../src/planner.ts';
import {runConv2d} from '../src/wasm/conv2d.ts';
import {isShared} from '../src/wasm/heap.ts';
import {ConvJob} from '../src/wasm/job.ts';
import {shareHeapAtStart} from '../src/wasm/sharedStart.ts';
import {WasmState} from '../src/wasm/state.ts';
import {CONTROL, STATE, THREAD, THREAD_WORDS} from '../src/wasm/threads/control.ts';
import type {Pool} from '../src/wasm/threads/pool.ts';
import {currentWasm, floats, freshWasm, size} from './tf.ts';
import {HOOK, HOOKS} from './workerHooks.ts';

jest.mock('../src/wasm/threads/script.ts', () => ({
  WORKER_SCRIPT: jest
    .requireActual<typeof import('./workerHooks.ts')>('./workerHooks.ts')
    .withHook(jest.requireActual('../src/wasm/threads/script.ts').WORKER_SCRIPT),
}));

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** jest's own comparison takes seconds for as many values. */
function expectSame(bits: Buffer, serial: Buffer): void {
  expect(bits.equals(serial)).toBe(true);
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); ++i) {
    if (i > 2000) throw new Error('it did not come to be');
    await sleep(5);
  }
}

const controlOf = (pool: Pool) => (pool as unknown as {control: Int32Array}).control;
const stateWord = (pool: Pool, thread: number) =>
  Atomics.load(controlOf(pool), CONTROL.threads + THREAD_WORDS * thread + THREAD.state);

/** An instance whose every job of several tasks runs on three threads. */
async function open({numThreads = 3, patienceMs = 10_000} = {}) {
  const undo = await freshShared();
  const state = WasmState.create(currentWasm(), await kernelsOf('relaxed', true), {
    numThreads,
    patienceMs,
    dispatch: 'always',
  });
  if (typeof state === 'string' || state.pool === undefined) throw new Error('no pool');
  const {pool} = state;
  const geometry = convGeometry([1, 30, 31, 32], [3, 3, 32, 64], {strides: 1, pad: 'same'});
  const plan = planOurs(geometry, {target: 'relaxed', algorithm: 'im2win', winograd: false});
  const route = {};
  const x = tf.tensor(floats(size([1, 30, 31, 32]), 1), [1, 30, 31, 32]);
  const filter = tf.tensor(floats(size([3, 3, 32, 64]), 2), [3, 3, 32, 64]);
  const convolve = () => {
    const [job] = state.jobs.get(
      route,
      1,
      (_, at) => new ConvJob(state.heap, at, {geometry, plan, activation: 'linear'}),
    );
    const {dataId} = runConv2d(state, job, {x, filter, alpha: 0});
    const offset = state.backend.dataIdMap.get(dataId).memoryOffset ?? 0;
    const bits = Buffer.from(
      new Float32Array(state.heap.memory.buffer, offset, size(geometry.outShape)).slice().buffer,
    );
    state.backend.disposeData(dataId, true);
    return bits;
  };
  pool.setThreads(1);
  const serial = convolve();
  pool.setThreads(numThreads);
  return {
    state,
    pool,
    serial,
    convolve,
    hook: (value: number) => Atomics.store(controlOf(pool), HOOK, value),
    ready: () => until(() => [1, 2].every((thread) => stateWord(pool, thread) !== STATE.absent)),
    close: async () => {
      state.release();
      undo();
      expect(state.heap.ownBytes).toBe(0);
    },
  };
}

/** A new instance of tfjs's backend on a shared heap. */
async function freshShared(): Promise<() => void> {
  await freshWasm();
  const factory = tf.findBackendFactory('wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory);
  const {undo} = shareHeapAtStart();
  await tf.setBackend('wasm');
  expect(Object.prototype.toString.call(currentWasm().wasm?.HEAPU8.buffer)).toBe(
    '[object SharedArrayBuffer]',
  );
  return undo;
}

describe('through tfjs', () => {
  let registration: Im2winRegistration;

  beforeAll(async () => {
    const factory = tf.findBackendFactory('wasm');
    tf.removeBackend('wasm');
    tf.registerBackend('wasm', factory);
    registration = await registerIm2win({numThreads: 4, backends: ['wasm']});
    await tf.setBackend('wasm');
  });
  afterAll(() => registration.unregister());

  const random = (shape: number[], seed: number) => tf.tensor(floats(size(shape), seed), shape);
  const conv = (x: number[], filter: number[], strides: number, dilations = 1) =>
    tf.conv2d(
      random(x, 1) as tf.Tensor4D,
      random(filter, 2) as tf.Tensor4D,
      strides,
      'same',
      'NHWC',
      dilations,
    );

  test('fewer threads may be set before the first convolution, and more after it', async () => {
    registration.setNumThreads(1);
    tf.dispose(conv([1, 40, 40, 32], [3, 3, 32, 64], 1));
    expect(registration.numThreads).toBe(1);
    registration.setNumThreads(4);
    expect(registration.numThreads).toBe(4);
    expect(registration.whyOneThread).toBeUndefined();
  });

  test('says how many threads there are', () => {
    expect(registration.numThreads).toBe(4);
    expect(registration.whyOneThread).toBeUndefined();
    expect(registration.status()).toContain('wasm: served, relaxed SIMD, 4 threads.');
    registration.setNumThreads(1);
    expect(registration.numThreads).toBe(1);
    expect(registration.whyOneThread).toBeUndefined();
    expect(registration.status()).toContain('wasm: served, relaxed SIMD, one thread.');
    registration.setNumThreads(4);
  });

  test.each([0, 5, 1.5, Number.NaN, '2', undefined])('refuses %p threads', (count) => {
    expect(() => registration.setNumThreads(count as number)).toThrow(
      /setNumThreads: numThreads is .*; allowed: a whole number from 1 to 4/,
    );
    expect(registration.numThreads).toBe(4);
  });

  test('an instance that comes later has as many as were set, and can have all', async () => {
    registration.setNumThreads(1);
    const factory = tf.findBackendFactory('wasm');
    tf.removeBackend('wasm');
    tf.registerBackend('wasm', factory);
    await tf.setBackend('wasm');
    conv([1, 20, 20, 8], [3, 3, 8, 8], 1).dataSync();
    expect(registration.numThreads).toBe(1);
    registration.setNumThreads(4);
    expect(registration.numThreads).toBe(4);
    expect(registration.whyOneThread).toBeUndefined();
  });

  test('an instance that starts after another registration has threads, too', async () => {
    registration.unregister();
    registration = await registerIm2win({numThreads: 4, backends: ['wasm']});
    expect(registration.numThreads).toBe(4);
    const factory = tf.findBackendFactory('wasm');
    tf.removeBackend('wasm');
    tf.registerBackend('wasm', factory);
    await tf.setBackend('wasm');
    conv([1, 20, 20, 8], [3, 3, 8, 8], 1).dataSync();
    expect(registration.whyOneThread).toBeUndefined();
    expect(registration.numThreads).toBe(4);
  });

  test.each<[string, () => tf.Tensor]>([
    ['1×1', () => conv([2, 33, 31, 64], [1, 1, 64, 96], 1)],
    ['1×1, one row', () => conv([1, 1, 3000, 40], [1, 1, 40, 72], 1)],
    ['3×3', () => conv([1, 56, 57, 32], [3, 3, 32, 40], 1)],
    ['3×3/2', () => conv([2, 57, 55, 24], [3, 3, 24, 64], 2)],
    ['3×3, three channels', () => conv([1, 96, 95, 3], [3, 3, 3, 64], 1)],
    ['3×3, small and deep', () => conv([1, 7, 7, 512], [3, 3, 512, 512], 1)],
    ['5×5, dilated', () => conv([1, 40, 41, 24], [5, 5, 24, 33], 1, 2)],
    ['one output channel', () => conv([1, 120, 121, 64], [3, 3, 64, 1], 1)],
    [
      'depthwise',
      () =>
        tf.depthwiseConv2d(
          random([1, 112, 111, 64], 1) as tf.Tensor4D,
          random([3, 3, 64, 1], 2) as tf.Tensor4D,
          1,
          'same',
        ),
    ],
    [
      'depthwise/2 of two filters',
      () =>
        tf.depthwiseConv2d(
          random([2, 57, 56, 48], 1) as tf.Tensor4D,
          random([3, 3, 48, 2], 2) as tf.Tensor4D,
          2,
          'same',
        ),
    ],
    [
      'fused, prelu',
      () =>
        tf.fused.conv2d({
          x: random([1, 40, 40, 32], 1) as tf.Tensor4D,
          filter: random([3, 3, 32, 64], 2) as tf.Tensor4D,
          strides: 1,
          pad: 'same',
          bias: random([64], 3),
          activation: 'prelu',
          preluActivationWeights: random([64], 4),
        }),
    ],
    [
      'fused, sigmoid',
      () =>
        tf.fused.conv2d({
          x: random([1, 40, 40, 32], 1) as tf.Tensor4D,
          filter: random([3, 3, 32, 64], 2) as tf.Tensor4D,
          strides: 1,
          pad: 'same',
          bias: random([64], 3),
          activation: 'sigmoid',
        }),
    ],
    [
      'channels first',
      () =>
        im2winConv2d(random([2, 24, 40, 41], 1) as tf.Tensor4D, random([3, 3, 24, 40], 2) as tf.Tensor4D, {
          strides: 1,
          pad: 'same',
          dataFormat: 'NCHW',
        }),
    ],
    [
      'transposed',
      () =>
        tf.conv2dTranspose(
          random([1, 40, 41, 32], 1) as tf.Tensor4D,
          random([4, 4, 16, 32], 2) as tf.Tensor4D,
          [1, 80, 82, 16],
          2,
          'same',
        ),
    ],
    [
      'transposed, large strides',
      () =>
        tf.conv2dTranspose(
          random([1, 20, 20, 12], 1) as tf.Tensor4D,
          random([64, 64, 21, 12], 2) as tf.Tensor4D,
          [1, 640, 640, 21],
          32,
          'same',
        ),
    ],
    ...(['input', 'filter'] as const).flatMap((of): [string, () => tf.Tensor][] => [
      [
        `the gradient with respect to the ${of}`,
        () => {
          const x = random([2, 30, 31, 30], 1) as tf.Tensor4D;
          const filter = random([3, 3, 30, 50], 2) as tf.Tensor4D;
          const [dx, df] = tf.grads((a, b) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same'))([
            x,
            filter,
          ]);
          return of === 'input' ? dx : df;
        },
      ],
      [
        `the gradient of a depthwise one with respect to the ${of}`,
        () => {
          const x = random([2, 60, 61, 64], 1) as tf.Tensor4D;
          const filter = random([5, 5, 64, 1], 2) as tf.Tensor4D;
          const [dx, df] = tf.grads((a, b) =>
            tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same'),
          )([x, filter]);
          return of === 'input' ? dx : df;
        },
      ],
    ]),
  ])('the same bits: %s', async (_, run) => {
    const bitsOf = (threads: number) => {
      registration.setNumThreads(threads);
      tf.engine().startScope();
      const values = run().dataSync();
      tf.engine().endScope();
      return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    };
    const serial = bitsOf(1);
    expect(serial.some((byte) => byte !== 0)).toBe(true);
    bitsOf(4);
    await sleep(50); // The workers begin.
    for (const threads of [2, 3, 4, 4]) expectSame(bitsOf(threads), serial);
  });
});

test('workers take part, and sleep when there is nothing to do', async () => {
  const {pool, convolve, serial, ready, close} = await open();
  expectSame(convolve(), serial);
  await ready();
  await until(() => [1, 2].every((thread) => stateWord(pool, thread) === STATE.asleep));
  for (let i = 0; i < 20; ++i) expectSame(convolve(), serial);
  expect(pool.threads).toBe(3);
  await close();
});

test('a task that fails in a worker is an error, and the next call is right', async () => {
  const {pool, convolve, serial, ready, hook, close, state} = await open();
  convolve();
  await ready();
  const own = state.heap.ownBytes;
  hook(HOOKS.throws);
  let errors = 0;
  // On a busy machine the workers may claim none for some time.
  for (let i = 0; i < 2000 && errors < 5; ++i) {
    try {
      expectSame(convolve(), serial);
    } catch (error) {
      expect((error as Error).message).toContain('im2win: a task of im2win_conv failed in a worker');
      ++errors;
    }
  }
  expect(errors).toBeGreaterThan(0);
  hook(HOOKS.none);
  expectSame(convolve(), serial);
  expect(pool.threads).toBe(3);
  expect(state.heap.ownBytes).toBe(own);
  await close();
});

test.each(['ends', 'hangs', 'comesLate'] as const)(
  'a worker that %s in a task: an error in time, memory that stays whole, and one thread from then on',
  async (what) => {
    const {pool, convolve, serial, ready, hook, state, close} = await open({patienceMs: 200});
    convolve();
    await ready();
    hook(HOOKS[what]);
    const before = Date.now();
    let message = '';
    // A worker may claim nothing in a run.
    for (let i = 0; i < 200 && message === ''; ++i) {
      try {
        expectSame(convolve(), serial);
      } catch (error) {
        ({message} = error as Error);
      }
    }
    expect(message).toContain('im2win: a worker did not come back from a task within 0.2 s');
    expect(Date.now() - before).toBeLessThan(20_000);
    expect(pool.threads).toBe(1);
    expect(pool.reason).toContain('did not come back');
    const held = state.heap.ownBytes;
    for (let i = 0; i < 5; ++i) expectSame(convolve(), serial);
    // What the lost worker may write is nobody else's; it is given back once the worker has ended.
    expect(state.heap.ownBytes).toBeGreaterThan(held);
    await until(() => state.heap.ownBytes < held);
    expectSame(convolve(), serial);
    await close();
  },
);

test('workers that are terminated while idle are done without', async () => {
  const {pool, convolve, serial, ready, close} = await open();
  convolve();
  await ready();
  const {workers} = pool as unknown as {workers: {terminate(): void}[]};
  workers[1].terminate();
  expectSame(convolve(), serial);
  await until(() => pool.threads === 2);
  expectSame(convolve(), serial);
  workers[2].terminate();
  await until(() => pool.threads === 1);
  expect(pool.reason).toContain('ended');
  expectSame(convolve(), serial);
  await close();
});

test('workers that do not begin are not counted', async () => {
  const {pool, convolve, serial, ready, close} = await open({patienceMs: 200});
  convolve();
  expect(pool.threads).toBe(3);
  await ready();
  await until(() => [1, 2].every((thread) => stateWord(pool, thread) === STATE.asleep));
  const setState = (value: number) => {
    for (const thread of [1, 2]) {
      Atomics.store(controlOf(pool), CONTROL.threads + THREAD_WORDS * thread + THREAD.state, value);
    }
  };
  setState(STATE.absent);
  await until(() => pool.threads === 1);
  expect(pool.reason).toContain('has begun');
  expectSame(convolve(), serial);
  setState(STATE.asleep);
  expect(pool.threads).toBe(3);
  expect(pool.reason).toBeUndefined();
  expectSame(convolve(), serial);
  await close();
});

test('the heap grows between and after jobs', async () => {
  const {state, convolve, serial, ready, close} = await open();
  convolve();
  await ready();
  for (let i = 0; i < 8; ++i) {
    const before = state.heap.memory.buffer.byteLength;
    const large = tf.zeros([24 * 1024 * 1024]);
    large.dataSync();
    expect(state.heap.memory.buffer.byteLength).toBeGreaterThan(before);
    for (let j = 0; j < 5; ++j) expectSame(convolve(), serial);
  }
  await close();
});

test('a host that refuses a shared memory: one thread, and the reason', async () => {
  await freshWasm();
  const factory = tf.findBackendFactory('wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory);
  const {instantiate} = WebAssembly;
  const refusing = async (bytes: BufferSource, imports?: WebAssembly.Imports) => {
    const source = await instantiate(bytes, imports);
    const {memory} = source.instance.exports as {memory?: WebAssembly.Memory};
    if (memory !== undefined && isShared(memory.buffer)) throw new RangeError('refused');
    return source;
  };
  WebAssembly.instantiate = refusing as typeof instantiate;
  try {
    const registration = await registerIm2win({numThreads: 2, backends: ['wasm']});
    expect(await tf.setBackend('wasm')).toBe(true);
    expect(WebAssembly.instantiate).toBe(refusing);
    const [x, filter] = [tf.ones([1, 3, 3, 2]), tf.ones([3, 3, 2, 4])] as tf.Tensor4D[];
    expect(tf.conv2d(x, filter, 1, 'valid').dataSync()[0]).toBe(18);
    expect(registration.numThreads).toBe(1);
    expect(registration.whyOneThread).toContain('on a memory that this host does not share');
    registration.unregister();
  } finally {
    WebAssembly.instantiate = instantiate;
  }
});
