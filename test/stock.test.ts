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

// One of each class, such that stock does not write past its output. Should tfjs
// mend its kernel, this is how we learn of it.
const WRONG: Record<string, ConvCase> = {
  'numeric padding, rectangular filter': convCase([1, 6, 8, 1], [1, 3, 1, 1], {pad: 1}),
  "'same' with a stride larger than the filter": convCase([1, 7, 7, 1], [2, 2, 1, 1], {
    pad: 'same',
    strides: [4, 4],
  }),
};

test.each(Object.entries(WRONG))('stock is wrong: %s', async (_, problem) => {
  await freshWasm();
  expect(defect(problem)).toBeDefined();
  tf.tidy(() => {
    const operands = operandsOf(problem, LINEAR, 3);
    const output = runConv('Conv2D', problem, LINEAR, operands);
    expect(() => expectConvolution(output, problem, LINEAR, operands)).toThrow('value');
  });
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

test('conv1d goes the same way', async () => {
  await freshWasm();
  const registration = await registerIm2win({algorithm: 'stock'});
  const x = tf.tensor2d([1, 2, 3, 4, 5, 6, 7], [7, 1]);
  const filter = tf.tensor3d([1, 10, 100], [3, 1, 1]);
  // A convolution of height 1, so that tfjs takes the width as if the filter's were 1:
  // the last windows run over the edge.
  expect([...tf.conv1d(x, filter, 1, 0).dataSync()]).toEqual([321, 432, 543, 654, 765, 76, 7]);
  expect([...tf.conv1d(x, filter, 7, 'same').dataSync()]).toEqual([321]);
  expect(registration.report()).toMatchObject([{algorithm: 'im2win'}, {algorithm: 'im2win'}]);
  registration.unregister();
});
