// Where the stock wasm kernel is wrong: our list must hold every such case, and
// the plugin must compute them all, whatever was asked of it.
import {convGeometry} from '../src/geometry.ts';
import {registerIm2win} from '../src/index.ts';
import {stockDefect} from '../src/stock.ts';
import {
  type ConvCase,
  convCase,
  expectConvolution,
  freshWasm,
  LINEAR,
  operandsOf,
  runConv,
  tf,
} from './tf.ts';

const SIZES = [5, 6, 7, 9];
const FILTERS = [1, 2, 3];
const STRIDES = [1, 2, 3, 4];

function* cases(pad: ConvCase['pad'], dimRoundingMode?: ConvCase['dimRoundingMode']): Generator<ConvCase> {
  for (const inHeight of SIZES) {
    for (const filterHeight of FILTERS) {
      for (const filterWidth of FILTERS) {
        for (const strideHeight of STRIDES) {
          for (const strideWidth of STRIDES) {
            yield convCase([1, inHeight, 8, 2], [filterHeight, filterWidth, 2, 4], {
              pad,
              strides: [strideHeight, strideWidth],
              dimRoundingMode,
            });
          }
        }
      }
    }
  }
}

function defect(problem: ConvCase): string | undefined {
  return stockDefect(
    convGeometry(problem.xShape, problem.filterShape, {
      ...problem,
      strides: [...problem.strides],
      dilations: [...problem.dilations],
    }),
  );
}

const PADS: [ConvCase['pad'], ConvCase['dimRoundingMode'] | undefined][] = [
  ['same', undefined],
  ['valid', undefined],
  [0, undefined],
  [1, undefined],
  [2, 'floor'],
  [1, 'round'],
  [1, 'ceil'],
  [
    [
      [0, 0],
      [1, 0],
      [0, 2],
      [0, 0],
    ],
    undefined,
  ],
  [
    [
      [0, 0],
      [1, 2],
      [0, 1],
      [0, 0],
    ],
    'ceil',
  ],
];

test.each(PADS)(
  'pad %j %s: stock is right wherever it is not listed as wrong',
  async (pad, dimRoundingMode) => {
    await freshWasm();
    for (const problem of cases(pad, dimRoundingMode)) {
      if (defect(problem) !== undefined) continue;
      tf.tidy(() => {
        const operands = operandsOf(problem, LINEAR, 3);
        expectConvolution(runConv('Conv2D', problem, LINEAR, operands), problem, LINEAR, operands);
      });
    }
  },
);

// One case of each class, with the right answer and what stock 4.22 gives instead. In none of them does stock
// write past its output. If tfjs mends its kernel, these tests tell us.
interface Pinned {
  readonly run: () => tf.Tensor;
  readonly right: number[];
  readonly stock: number[];
}

const counting = (...shape: number[]) => tf.reshape(tf.range(1, shape.reduce((a, b) => a * b) + 1), shape);

const PINNED: Record<string, Pinned> = {
  // tfjs derives the width from the filter's height, 1, and gets 5; XNNPACK gets 4 and writes rows of 4.
  'conv2d, numeric padding, rectangular filter': {
    run: () => tf.conv2d(counting(1, 2, 3, 1) as tf.Tensor4D, tf.tensor4d([1, 10], [1, 2, 1, 1]), 1, 1),
    right: [0, 0, 0, 0, 0, 10, 21, 32, 3, 0, 40, 54, 65, 6, 0, 0, 0, 0, 0, 0],
    stock: [0, 0, 0, 0, 10, 21, 32, 3, 40, 54, 65, 6, 0, 0, 0, 0, 0, 0, 0, 0],
  },
  // (2 - 1) * 4 + 2 - 7 is below zero: XNNPACK's padding wraps around, and it reads zeros only.
  "conv2d, 'same' with a stride larger than the filter": {
    run: () =>
      tf.conv2d(
        counting(1, 7, 7, 1) as tf.Tensor4D,
        tf.tensor4d([1, 10, 100, 1000], [2, 2, 1, 1]),
        4,
        'same',
      ),
    right: [9821, 14265, 40929, 45373],
    stock: [0, 0, 0, 0],
  },
  'conv1d, numeric padding': {
    run: () => tf.conv1d(counting(7, 1) as tf.Tensor2D, tf.tensor3d([1, 10, 100], [3, 1, 1]), 1, 0),
    right: [321, 432, 543, 654, 765, 76, 7],
    stock: [321, 432, 543, 654, 765, 0, 0],
  },
  "conv1d, 'same' with a stride larger than the filter": {
    run: () => tf.conv1d(counting(7, 1) as tf.Tensor2D, tf.tensor3d([1, 10, 100], [3, 1, 1]), 7, 'same'),
    right: [321],
    stock: [0],
  },
};

test.each(Object.entries(PINNED))('%s', async (_, {run, right, stock}) => {
  await freshWasm();
  const before = [...run().dataSync()];
  // Stock leaves some values unwritten, which are whatever was in the heap: only the others are compared.
  expect(before.slice(0, 5)).toEqual(stock.slice(0, 5));
  expect(before).not.toEqual(right);
  for (const algorithm of ['auto', 'im2win', 'winograd', 'stock'] as const) {
    const registration = await registerIm2win({algorithm});
    const values = run().dataSync();
    // Winograd's products are not whole numbers.
    for (const [i, value] of right.entries()) expect(values[i]).toBeCloseTo(value, 1);
    expect(registration.report()).toMatchObject([{algorithm: expect.stringMatching(/im2win|winograd/)}]);
    registration.unregister();
  }
});

test.each(['auto', 'im2win', 'stock'] as const)(
  "with the plugin they are right under algorithm '%s'",
  async (algorithm) => {
    await freshWasm();
    const registration = await registerIm2win({algorithm});
    let count = 0;
    for (const [pad, dimRoundingMode] of PADS) {
      for (const problem of cases(pad, dimRoundingMode)) {
        if (defect(problem) === undefined) continue;
        ++count;
        tf.tidy(() => {
          const operands = operandsOf(problem, LINEAR, 3);
          expectConvolution(runConv('Conv2D', problem, LINEAR, operands), problem, LINEAR, operands);
          expectConvolution(runConv('FusedConv2D', problem, LINEAR, operands), problem, LINEAR, operands);
        });
      }
    }
    expect(count).toBeGreaterThan(500);
    for (const record of registration.report()) expect(record.algorithm).toBe('im2win');
    registration.unregister();
  },
);
