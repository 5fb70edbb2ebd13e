// What an app does to a library over days: many cycles, a heap beyond 2 GiB,
// registering in odd orders, values that are no numbers.
import {type Algorithm, type Im2winRegistration, registerIm2win} from '../src/index.ts';
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
  registration = await registerIm2win();
});
afterEach(async () => (await registerIm2win()).unregister());

const OURS = ['im2win', 'winograd'] as const satisfies Algorithm[];

test.each(OURS)('10,000 cycles of create, run, dispose by %s leave no byte behind', (algorithm) => {
  registration.setAlgorithm(algorithm);
  const values = {x: floats(7 * 9 * 5, 1), filter: floats(3 * 3 * 5 * 9, 2), bias: floats(9, 3)};
  const cycle = () => {
    const x = tf.tensor4d(values.x, [1, 7, 9, 5]);
    const filter = tf.tensor4d(values.filter, [3, 3, 5, 9]);
    const bias = tf.tensor1d(values.bias);
    const y = tf.fused.conv2d({x, filter, bias, strides: 1, pad: 'same', activation: 'relu'});
    for (const tensor of [x, filter, bias, y]) tensor.dispose();
  };
  cycle();
  const state = () => ({
    own: registration.memory(),
    heap: currentWasm().wasm?.HEAPU8.length,
    tfjs: tf.memory().numBytes,
    tensors: tf.memory().numTensors,
  });
  const before = state();
  expect(before.own.filterBytes).toBe(0);
  for (let i = 0; i < 10_000; ++i) cycle();
  expect(state()).toEqual(before);
});

test('offsets beyond 2 GiB', () => {
  const {wasm} = currentWasm();
  // Never written to: the system gives no memory for it.
  const ballast = wasm?._malloc(2 ** 31 + 2 ** 20) ?? 0;
  expect(ballast >>> 0).toBeGreaterThan(0);
  for (const algorithm of OURS) {
    registration.setAlgorithm(algorithm);
    const problem = convCase([2, 40, 41, 33], [3, 3, 33, 20], {pad: 'same'});
    const epilogue = {activation: 'prelu', biasShape: [20], slopeShape: [20]};
    const operands = operandsOf(problem, epilogue, 1);
    expect(currentWasm().dataIdMap.get(operands.x.dataId).memoryOffset).toBeGreaterThan(2 ** 31);
    expectConvolution(
      runConv('FusedConv2D', problem, epilogue, operands),
      problem,
      epilogue,
      operands,
      algorithm,
    );
  }
  wasm?._free(ballast);
});

test('registered and unregistered in turn, in the middle of a model', async () => {
  const problem = convCase([1, 9, 9, 4], [3, 3, 4, 8], {pad: 'same'});
  const operands = operandsOf(problem, LINEAR, 1);
  for (let round = 0; round < 20; ++round) {
    // Every other round runs on stock: unregistered once or, every fourth, twice.
    if (round % 2 === 0) registration.unregister();
    if (round % 4 === 0) registration.unregister();
    if (round % 2 === 1) registration = await registerIm2win({simd: round % 3 === 0 ? 'strict' : 'relaxed'});
    tf.tidy(() => {
      const output = runConv('Conv2D', problem, LINEAR, operands);
      expectConvolution(output, problem, LINEAR, operands, 'winograd');
    });
  }
  registration = await registerIm2win();
  // An old registration has no effect any more.
  const old = registration;
  old.unregister();
  registration = await registerIm2win();
  old.unregister();
  old.setAlgorithm('stock');
  runConv('Conv2D', problem, LINEAR, operands);
  expect(registration.report()).toMatchObject([{algorithm: expect.stringMatching(/im2win|winograd/)}]);
  expect(old.memory().ownBytes).toBe(0);
});

describe('values that are no numbers', () => {
  // A 3×3 filter over a 9×20 image with one such value, at row 4, column 8.
  const problem = convCase([1, 9, 20, 2], [3, 3, 2, 5], {pad: 'same'});
  const at = (row: number, column: number) => (row * 20 + column) * 5;

  function outputOf(value: number, algorithm: Algorithm): Float32Array {
    registration.setAlgorithm(algorithm);
    const x = floats(9 * 20 * 2, 1);
    x[(4 * 20 + 8) * 2] = value;
    const operands = {
      x: tf.tensor4d(x, [1, 9, 20, 2]),
      filter: tf.tensor4d(floats(90, 2).map(Math.abs), [3, 3, 2, 5]),
    };
    return runConv('Conv2D', problem, LINEAR, operands).dataSync<'float32'>();
  }

  const reached = (row: number, column: number) => Math.abs(row - 4) <= 1 && Math.abs(column - 8) <= 1;

  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    '%p reaches its windows, and no others',
    (value) => {
      const output = outputOf(value, 'im2win');
      for (let row = 0; row < 9; ++row) {
        for (let column = 0; column < 20; ++column) {
          const pixel = output[at(row, column)];
          if (reached(row, column)) expect(pixel).toBe(value);
          else expect(Number.isFinite(pixel)).toBe(true);
        }
      }
    },
  );

  test('by Winograd NaN reaches its windows, and at most their tiles', () => {
    const output = outputOf(Number.NaN, 'winograd');
    for (let row = 0; row < 9; ++row) {
      for (let column = 0; column < 20; ++column) {
        const pixel = output[at(row, column)];
        if (reached(row, column)) expect(pixel).toBeNaN();
        // A tile has at most six outputs of a filter three wide.
        if (Math.abs(row - 4) > 1 || Math.abs(column - 8) > 6) expect(Number.isFinite(pixel)).toBe(true);
      }
    }
  });
});
