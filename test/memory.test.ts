// Who owns which bytes of tfjs's heap, and when they are given back.
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {findMemory, Heap} from '../src/wasm/heap.ts';
import type {TfjsWasmBackend} from '../src/wasm/tfjs.ts';
import {
  convCase,
  currentWasm,
  expectConvolution,
  floats,
  freshWasm,
  LINEAR,
  operandsOf,
  runConv,
  tf,
} from './tf.ts';

let registration: Im2winRegistration;

beforeEach(async () => {
  await freshWasm();
  registration = await registerIm2win({algorithm: 'im2win'});
});
afterEach(() => registration.unregister());

const PROBLEM = convCase([1, 6, 6, 3], [3, 3, 3, 10]);
// ceil(10 / 8) panels of 27 rows of 8 floats.
const PANEL_BYTES = 2 * 27 * 8 * 4;

const image = () => tf.tensor4d(floats(108, 1), [1, 6, 6, 3]);
const filterOf = (seed: number) => tf.tensor4d(floats(270, seed), [3, 3, 3, 10]);
const convolve = (x: tf.Tensor4D, filter: tf.Tensor4D, stride = 1) => tf.conv2d(x, filter, stride, 'valid');
const numDataIds = () => (tf.backend() as tf.KernelBackend).numDataIds();
const filterBytes = () => registration.memory().filterBytes;

/** All of tfjs's heap that is taken, ours and its own, by what its allocator was asked. */
function watchHeap(backend: TfjsWasmBackend): Set<number> {
  const wasm = backend.wasm as NonNullable<TfjsWasmBackend['wasm']>;
  wasm._free(wasm._malloc(1)); // On their first call they put themselves in place.
  const held = new Set<number>();
  const {_malloc, _free} = wasm;
  wasm._malloc = (bytes) => {
    const offset = _malloc(bytes);
    held.add(offset);
    return offset;
  };
  wasm._free = (offset) => {
    held.delete(offset);
    _free(offset);
  };
  return held;
}

describe('a packed filter', () => {
  test('is kept for its data, and shared by calls that need the same packing', () => {
    const x = image();
    const filter = filterOf(1);
    convolve(x, filter);
    expect(filterBytes()).toBe(PANEL_BYTES);
    convolve(x, filter, 2);
    convolve(x, tf.reshape(filter, [3, 3, 3, 10]));
    tf.fused.conv2d({x, filter, strides: 1, pad: 'same', activation: 'relu'});
    expect(filterBytes()).toBe(PANEL_BYTES);
    convolve(x, filterOf(2));
    expect(filterBytes()).toBe(2 * PANEL_BYTES);
  });

  test('is another one for the same data in another shape', () => {
    const data = tf.tensor4d(floats(576, 5), [2, 3, 8, 12]);
    const x = tf.tensor4d(floats(400, 6), [1, 5, 10, 8]);
    for (const algorithm of ['im2win', 'winograd'] as const) {
      registration.setAlgorithm(algorithm);
      for (const [height, width] of [
        [2, 3],
        [3, 2],
        [1, 6],
      ] as const) {
        const filter = tf.reshape(data, [height, width, 8, 12]) as tf.Tensor4D;
        const problem = convCase([1, 5, 10, 8], [height, width, 8, 12]);
        expectConvolution(convolve(x, filter), problem, LINEAR, {x, filter}, algorithm);
      }
    }
    const pixel = tf.tensor4d(floats(64, 7), [1, 1, 1, 64]);
    registration.setAlgorithm('im2win');
    for (const [inChannels, outChannels] of [
      [1, 64],
      [64, 1],
      [8, 8],
    ] as const) {
      const problem = convCase([1, 3, 3, inChannels], [1, 1, inChannels, outChannels]);
      const input = tf.tensor4d(floats(9 * inChannels, 8), [1, 3, 3, inChannels]);
      const filter = tf.reshape(pixel, [1, 1, inChannels, outChannels]) as tf.Tensor4D;
      expectConvolution(convolve(input, filter), problem, LINEAR, {x: input, filter});
    }
  });

  test('is freed with its data, not before', () => {
    const x = image();
    const filter = filterOf(1);
    const alias = tf.reshape(filter, [3, 3, 3, 10]);
    convolve(x, filter);
    filter.dispose();
    expect(filterBytes()).toBe(PANEL_BYTES);
    alias.dispose();
    expect(filterBytes()).toBe(0);
  });

  test('is never taken for that of another filter', () => {
    const x = image();
    for (let seed = 1; seed < 30; ++seed) {
      tf.tidy(() => {
        const filter = filterOf(seed);
        expectConvolution(convolve(x, filter), PROBLEM, LINEAR, {x, filter});
      });
    }
    expect(filterBytes()).toBe(0);
  });

  test('follows a variable that is assigned', () => {
    const x = image();
    const variable = tf.tidy(() => tf.variable(filterOf(1)));
    for (let step = 2; step < 6; ++step) {
      expectConvolution(convolve(x, variable), PROBLEM, LINEAR, {x, filter: variable});
      tf.tidy(() => variable.assign(filterOf(step)));
    }
    expectConvolution(convolve(x, variable), PROBLEM, LINEAR, {x, filter: variable});
    expect(filterBytes()).toBe(PANEL_BYTES);
    variable.dispose();
    expect(filterBytes()).toBe(0);
  });

  test('is freed when its data moves to another backend, and made again when it comes back', async () => {
    const x = image();
    const filter = filterOf(1);
    convolve(x, filter);
    await tf.setBackend('cpu');
    tf.add(filter, 0).dataSync();
    expect(filterBytes()).toBe(0);
    await tf.setBackend('wasm');
    expectConvolution(convolve(x, filter), PROBLEM, LINEAR, {x, filter});
    expect(filterBytes()).toBe(PANEL_BYTES);
  });

  test('stays when the algorithm is switched', () => {
    const x = image();
    const filter = filterOf(1);
    convolve(x, filter);
    registration.setAlgorithm('stock');
    convolve(x, filter);
    expect(filterBytes()).toBe(PANEL_BYTES);
  });
});

test.each(['im2win', 'winograd'] as const)(
  'the workspace of %s holds a few rows, whatever the height',
  (algorithm) => {
    registration.setAlgorithm(algorithm);
    const filter = tf.ones([3, 3, 16, 4]) as tf.Tensor4D;
    for (const height of [10, 100, 1000]) {
      tf.tidy(() => convolve(tf.ones([1, height, 50, 16]) as tf.Tensor4D, filter));
    }
    // im2col would take 998 · 48 · 144 floats, 26 MiB.
    expect(registration.memory().workspaceBytes).toBeLessThan(256 * 1024);
  },
);

test('a filter whose transform is larger than what stock keeps is packed at each call', () => {
  registration.setAlgorithm('auto');
  const problem = convCase([1, 40, 40, 64], [3, 3, 64, 64], {pad: 'same'});
  tf.tidy(() => {
    const {x, filter} = operandsOf(problem, LINEAR, 1);
    for (let call = 0; call < 2; ++call) {
      const output = runConv('FusedConv2D', problem, LINEAR, {x, filter});
      expectConvolution(output, problem, LINEAR, {x, filter}, 'winograd');
    }
    expect(filterBytes()).toBe(0);
    expect(registration.memory().workspaceBytes).toBeGreaterThan(2 * 4 * 9 * 64 * 64);
  });
});

test('the heap stays flat over 2,000 runs with changing shapes and filters', () => {
  const backend = currentWasm();
  const run = (i: number) =>
    tf.tidy(() => {
      const channels = 1 + (i % 7);
      const x = tf.ones([1, 4 + (i % 11), 5 + (i % 13), channels]) as tf.Tensor4D;
      tf.conv2d(
        x,
        tf.ones([1 + (i % 3), 1 + (i % 2), channels, 1 + (i % 17)]) as tf.Tensor4D,
        1 + (i % 2),
        'same',
      );
    });
  for (let i = 0; i < 2000; ++i) run(i);
  const held = watchHeap(backend);
  const heapBytes = backend.wasm?.HEAPU8.length;
  const own = registration.memory();
  for (let i = 0; i < 2000; ++i) run(i);
  expect(registration.memory()).toEqual(own);
  expect(backend.wasm?.HEAPU8.length).toBe(heapBytes);
  // The records of the routes that are remembered; those of the first runs are gone.
  expect(held.size).toBe(1000);
  registration.unregister();
  expect(held.size).toBe(0);
});

test('a workspace that grows gives back what it had', () => {
  const held = watchHeap(currentWasm());
  tf.tidy(() => {
    for (const width of [10, 200, 4000]) {
      const x = tf.ones([1, 3, width, 4]) as tf.Tensor4D;
      tf.conv2d(x, tf.ones([3, 3, 4, 4]) as tf.Tensor4D, 1, 'valid');
    }
  });
  expect(held.size).toBe(1 + 3); // The workspace, and a record for each convolution.
  registration.unregister();
  expect(held.size).toBe(0);
});

test('a wrapper that another library put over ours stays', () => {
  const backend = currentWasm();
  convolve(image(), filterOf(1));
  const ours = backend.disposeData;
  const theirs = (...args: Parameters<typeof ours>) => ours.apply(backend, args);
  backend.disposeData = theirs;
  registration.unregister();
  expect(backend.disposeData).toBe(theirs);
  const tensor = tf.zeros([3]);
  const before = numDataIds();
  tensor.dispose();
  expect(numDataIds()).toBe(before - 1);
});

test('unregister gives every byte back, and leaves the backend as it was', async () => {
  registration.unregister();
  const backend = currentWasm();
  const held = watchHeap(backend);
  registration = await registerIm2win();
  tf.tidy(() => {
    const x = image();
    const kept = [1, 2, 3].map((seed) => filterOf(seed));
    for (const filter of kept) convolve(x, filter);
    const tensors = held.size;
    registration.unregister();
    expect(tensors - held.size).toBe(5); // Three packed filters, the record, and the workspace.
  });
  expect(held.size).toBe(0);
  expect(registration.memory().ownBytes).toBe(0);
  expect(Object.hasOwn(backend, 'disposeData')).toBe(false);
});

describe('a row whose strip would not fit is cut in parts', () => {
  test.each([
    ['rows', convCase([1, 2, 3000, 24], [2, 3, 24, 5], {pad: 'same'})],
    ['dilated', convCase([1, 2, 3000, 24], [2, 3, 24, 5], {pad: 'same', dilations: [1, 3]})],
    ['windows apart', convCase([2, 2, 6000, 24], [2, 3, 24, 5], {pad: 'same', strides: [1, 4]})],
  ])('%s', (_name, problem) => {
    const epilogue = {activation: 'relu', biasShape: [problem.outWidth, 5]};
    const operands = operandsOf(problem, epilogue, 1);
    expectConvolution(runConv('FusedConv2D', problem, epilogue, operands), problem, epilogue, operands);
    expect(registration.memory().workspaceBytes).toBeLessThanOrEqual(256 * 1024);
  });
});

describe('out of memory', () => {
  // A first call takes: the job's record, the packed filter, the workspace, the output.
  const points: [number, string][] = [
    [0, "bytes for a route's records"],
    [1, 'bytes for a packed filter'],
    [2, 'bytes for the workspace'],
    [3, 'an output of shape [1,4,4,10]'],
  ];
  test.each(
    (['im2win', 'winograd'] as const).flatMap((algorithm) =>
      points.map((point) => [algorithm, ...point] as const),
    ),
  )(
    '%s, at allocation %i: a clear error, nothing kept, and the next call works',
    (algorithm, failing, message) => {
      registration.setAlgorithm(algorithm);
      const backend = currentWasm();
      const x = image();
      const filter = filterOf(1);
      const wasm = backend.wasm as NonNullable<TfjsWasmBackend['wasm']>;
      const {_malloc} = wasm;
      const before = tf.memory();
      const dataIds = numDataIds();
      let count = 0;
      wasm._malloc = (bytes) => (count++ === failing ? 0 : _malloc(bytes));
      expect(() => convolve(x, filter)).toThrow(message);
      wasm._malloc = _malloc;
      expect(tf.memory()).toEqual(before);
      expect(numDataIds()).toBe(dataIds);
      expectConvolution(convolve(x, filter), PROBLEM, LINEAR, {x, filter}, algorithm);
      filter.dispose();
      expect(filterBytes()).toBe(0);
    },
  );

  test('beyond 4 GiB, where a size would wrap around', () => {
    const wasm = currentWasm().wasm as NonNullable<TfjsWasmBackend['wasm']>;
    const heap = new Heap(wasm, findMemory(wasm) as WebAssembly.Memory);
    expect(() => heap.allocate(2 ** 32, 'the workspace')).toThrow('4294967296 bytes for the workspace');
    expect(heap.ownBytes).toBe(0);
  });

  test('of the input, when it moves here', async () => {
    await tf.setBackend('cpu');
    const x = image();
    const filter = filterOf(1);
    await tf.setBackend('wasm');
    convolve(image(), filterOf(2)); // Makes the job's record.
    const wasm = currentWasm().wasm as NonNullable<TfjsWasmBackend['wasm']>;
    const {_malloc} = wasm;
    wasm._malloc = () => 0;
    expect(() => convolve(x, filter)).toThrow('x of shape [1,6,6,3]');
    wasm._malloc = _malloc;
  });
});

describe('instances of the backend', () => {
  test('one after another', async () => {
    for (let round = 0; round < 3; ++round) {
      const x = image();
      const filter = filterOf(round + 1);
      expectConvolution(convolve(x, filter), PROBLEM, LINEAR, {x, filter});
      expect(filterBytes()).toBe(PANEL_BYTES);
      await freshWasm();
      expect(registration.memory().ownBytes).toBe(0);
    }
  });

  test('two at once', async () => {
    const factory = tf.findBackendFactory('wasm');
    tf.registerBackend('wasm2', factory);
    tf.copyRegisteredKernels('wasm', 'wasm2');
    const filters = [filterOf(1), filterOf(2)];
    const x = image();
    for (const name of ['wasm2', 'wasm', 'wasm2']) {
      await tf.setBackend(name);
      for (const filter of filters) expectConvolution(convolve(x, filter), PROBLEM, LINEAR, {x, filter});
    }
    tf.removeBackend('wasm2');
    await tf.setBackend('wasm');
  });
});

test('a call leaves nothing behind but its output', () => {
  const operands = operandsOf(PROBLEM, LINEAR, 1);
  const before = tf.memory().numTensors;
  const output = runConv('Conv2D', PROBLEM, LINEAR, operands);
  expect(tf.memory().numTensors).toBe(before + 1);
  output.dispose();
});
