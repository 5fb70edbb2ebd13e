// Depthwise convolutions on every backend, against the full convolutions that they are.
import {keptRows, ROWS_BYTES} from '../src/cpu/depthwise.ts';
import {convGeometry} from '../src/geometry.ts';
import {registerIm2win} from '../src/index.ts';
import {essential} from '../src/taps.ts';
import {
  type ConvCase,
  depthwiseCase,
  depthwiseOperandsOf,
  type Epilogue,
  expectConvolution,
  freshBackend,
  LINEAR,
  runConv,
  tf,
} from './tf.ts';

const GEOMETRIES: Record<string, ConvCase[]> = {
  // Tiles of 8, 4 and 2 pixels, and the edges beside them.
  widths: Array.from({length: 21}, (_, i) => i + 1).flatMap((width) =>
    [3, 5].flatMap((filter) =>
      ([1, 2] as const).map((stride) =>
        depthwiseCase([1, 5, width, 8], [filter, filter, 8, 1], {strides: [stride, stride], pad: 'same'}),
      ),
    ),
  ),
  // At stride 2 in vectors of eight, four, and what is left.
  channels: [1, 2, 3, 4, 5, 7, 8, 12, 13, 16, 20, 36].flatMap((channels) =>
    ([1, 2] as const).map((stride) =>
      depthwiseCase([2, 6, 13, channels], [3, 3, channels, 1], {strides: [stride, stride], pad: 'same'}),
    ),
  ),
  multipliers: [2, 3, 4, 5, 8, 9].flatMap((multiplier) =>
    [1, 3, 4].map((channels) =>
      depthwiseCase([2, 5, 7, channels], [3, 3, channels, multiplier], {strides: [2, 2], pad: 'same'}),
    ),
  ),
  filters: [1, 2, 3, 4, 5, 6, 7].flatMap((height) =>
    [1, 2, 3, 5, 7].map((width) => depthwiseCase([1, 8, 11, 6], [height, width, 6, 1], {pad: 'same'})),
  ),
  'strides and dilations': [1, 2, 3, 4].flatMap((height) =>
    [1, 2, 3, 4].flatMap((width) => [
      depthwiseCase([1, 12, 19, 5], [3, 3, 5, 1], {strides: [height, width], pad: 'same'}),
      depthwiseCase([1, 12, 19, 5], [3, 5, 5, 1], {dilations: [height, width], pad: 'same'}),
      depthwiseCase([1, 12, 19, 4], [5, 3, 4, 1], {
        strides: [height, width],
        dilations: [width, height],
        pad: 'same',
      }),
    ]),
  ),
  // All around, beyond the image, and cropping it.
  padding: [-2, -1, 0, 1, 2, 3, 6].flatMap((before) =>
    [-1, 0, 1, 4].flatMap((after) =>
      ([1, 2] as const).map((stride) =>
        depthwiseCase([1, 7, 12, 4], [3, 3, 4, 1], {
          strides: [1, stride],
          pad: [
            [0, 0],
            [before, after],
            [before, after],
            [0, 0],
          ],
        }),
      ),
    ),
  ),
  'numeric padding': [0, 1, 2].map((pad) =>
    depthwiseCase([1, 7, 9, 4], [3, 5, 4, 1], {strides: [1, 2], pad, dimRoundingMode: 'floor'}),
  ),
};

const EPILOGUES: Epilogue[] = [
  {activation: 'relu6', biasShape: [10]},
  {activation: 'prelu', slopeShape: [10], biasShape: [10]},
  {activation: 'prelu', slopeShape: [5, 9, 10]},
  {activation: 'leakyrelu', leakyreluAlpha: 0.3, biasShape: [1]},
  {activation: 'sigmoid', biasShape: [5, 9, 10]},
  {activation: 'elu', biasShape: [2, 5, 9, 10]},
];

/** Of the package's own kernel alone. */
const OWN_EPILOGUES: Epilogue[] = [
  {activation: 'clip', clipMin: -0.25, clipMax: 0.5},
  {activation: 'linear', residual: 'before'},
  {activation: 'relu', biasShape: [10], residual: 'after'},
  {activation: 'prelu', biasShape: [5, 9, 10], slopeShape: [10], residual: 'before'},
  ...(['tanh', 'silu', 'gelu', 'gelu_new', 'hardsigmoid', 'hardswish'] as const).flatMap((activation) =>
    ([undefined, 'before', 'after'] as const).map((residual) => ({activation, biasShape: [10], residual})),
  ),
];

describe.each([
  ['wasm', 'strict', 'NHWC'],
  ['wasm', 'relaxed', 'NHWC'],
  ['wasm', 'relaxed', 'NCHW'],
  ['cpu', 'auto', 'NHWC'],
  ['cpu', 'auto', 'NCHW'],
] as const)('on %s, %s, %s', (backend, simd, dataFormat) => {
  beforeAll(async () => {
    await freshBackend(backend);
    await registerIm2win({simd});
  });
  afterAll(async () => (await registerIm2win()).unregister());

  function check(problem: ConvCase, epilogue: Epilogue, seed = 1, kernel = 'FusedDepthwiseConv2D'): void {
    tf.tidy(() => {
      const {full, operands} = depthwiseOperandsOf(problem, epilogue, seed);
      expectConvolution(runConv(kernel, problem, epilogue, operands, dataFormat), problem, epilogue, full);
    });
  }

  for (const [name, problems] of Object.entries(GEOMETRIES)) {
    test(name, () => {
      for (const problem of problems) {
        check(problem, LINEAR, 1, 'DepthwiseConv2dNative');
        check(problem, {activation: 'relu', biasShape: [problem.filterShape[3]]}, 2);
        check(problem, {activation: 'hardswish', residual: 'before'}, 2, 'Im2winDepthwiseConv2D');
      }
    });
  }

  test.each(EPILOGUES.map((epilogue) => [JSON.stringify(epilogue), epilogue] as const))(
    'epilogue %s',
    (_, epilogue) => {
      check(depthwiseCase([2, 5, 9, 10], [3, 3, 10, 1], {pad: 'same'}), epilogue);
      check(depthwiseCase([2, 5, 9, 5], [3, 3, 5, 2], {pad: 'same'}), epilogue);
    },
  );

  test.each(
    [...EPILOGUES, ...OWN_EPILOGUES].map((epilogue) => [JSON.stringify(epilogue), epilogue] as const),
  )('Im2winDepthwiseConv2D, epilogue %s', (_, epilogue) => {
    for (const problem of [
      depthwiseCase([2, 5, 9, 10], [3, 3, 10, 1], {pad: 'same'}),
      depthwiseCase([2, 10, 18, 10], [3, 3, 10, 1], {strides: [2, 2], pad: 'same'}),
      depthwiseCase([2, 5, 9, 5], [5, 5, 5, 2], {pad: 'same'}),
    ]) {
      check(problem, epilogue, 1, 'Im2winDepthwiseConv2D');
    }
    // One channel, which is computed as a full convolution.
    const one = {...epilogue, biasShape: undefined, slopeShape: epilogue.slopeShape && []};
    check(depthwiseCase([2, 5, 9, 1], [3, 3, 1, 1], {pad: 'same'}), one, 1, 'Im2winDepthwiseConv2D');
  });
});

/** Explicit padding of NHWC. */
const around = (top: number, bottom: number, left: number, right: number): ConvCase['pad'] => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

describe('on cpu, windows of any reach', () => {
  const CASES: ConvCase[] = [
    ...([2, 5, 2000, 2 ** 30, 2 ** 31] as const).flatMap((dilation) => [
      depthwiseCase([1, 8, 8, 16], [3, 3, 16, 1], {dilations: [dilation, dilation], pad: 'same'}),
      depthwiseCase([2, 7, 9, 3], [2, 5, 3, 2], {dilations: [dilation, dilation], pad: 'same'}),
      depthwiseCase([1, 7, 9, 3], [3, 2, 3, 1], {dilations: [dilation, 1], pad: 'same'}),
    ]),
    // Output rows that share input rows are not neighbours.
    ...([2, 3, 4, 6] as const).map((stride) =>
      depthwiseCase([2, 23, 17, 2], [4, 3, 2, 1], {
        strides: [stride, stride],
        dilations: [6, 4],
        pad: around(9, 9, 9, 9),
      }),
    ),
    ...([7, 2 ** 20, 2 ** 31] as const).flatMap((stride) => [
      depthwiseCase([1, 8, 8, 4], [3, 3, 4, 1], {strides: [stride, stride], pad: 'same'}),
      depthwiseCase([1, 8, 8, 4], [3, 3, 4, 1], {
        strides: [stride, stride],
        pad: around(stride, 2 * stride, 2 * stride, stride),
      }),
    ]),
    // One window far from the image, on each side, and one on it.
    depthwiseCase([1, 4, 5, 2], [3, 3, 2, 1], {
      strides: [2 ** 28, 2 ** 28],
      dilations: [2 ** 28, 2 ** 28],
      pad: around(2 ** 29, 2 ** 29, 2 ** 29, 2 ** 29),
    }),
    // Cropped, and more than all of it.
    depthwiseCase([1, 9, 9, 2], [3, 3, 2, 1], {pad: around(-3, -1, -2, -3)}),
    depthwiseCase([1, 9, 9, 2], [2, 2, 2, 1], {pad: around(-12, 9, 9, -12)}),
    depthwiseCase([1, 3, 3, 2], [400, 300, 2, 1], {pad: 'same'}),
    // Rows that are computed in parts.
    depthwiseCase([1, 3, 400_001, 1], [3, 17, 1, 1], {strides: [1, 16]}),
  ];

  beforeAll(async () => {
    await freshBackend('cpu');
    await registerIm2win();
  });
  afterAll(async () => (await registerIm2win()).unregister());

  test.each(CASES.map((problem) => [problem.name, problem] as const))('%s', (_, problem) => {
    for (const dataFormat of ['NHWC', 'NCHW'] as const) {
      tf.tidy(() => {
        const {full, operands} = depthwiseOperandsOf(problem, LINEAR, 3);
        const output = runConv('DepthwiseConv2dNative', problem, LINEAR, operands, dataFormat);
        expectConvolution(output, problem, LINEAR, full);
      });
    }
  });

  test('keep rows in bounded memory', () => {
    const sizes = [1, 3, 2000, 2 ** 20, 2 ** 31, 2 ** 40];
    for (const stride of sizes) {
      for (const dilation of sizes) {
        for (const before of [-1, 0, 2 ** 10, 2 ** 20, 2 ** 31]) {
          for (const [size, filter] of [
            [8, 3],
            [500, 31],
            [3, 1000],
          ]) {
            const after = filter * dilation;
            const geometry = convGeometry(
              [1, size, size, 16],
              [filter, filter, 16, 1],
              {strides: stride, dilations: dilation, pad: around(before, after, before, after)},
              {depthwise: true},
            );
            const {rowCount, rowValues, pixels} = keptRows(essential(geometry));
            // Four pixels are a tile.
            const tileBytes = 8 * 4 * Math.min(size, filter) * filter * 16;
            const name = `stride ${stride}, dilation ${dilation}, pad ${before}, ${size} by ${filter}`;
            expect([name, 8 * rowCount * rowValues <= Math.max(ROWS_BYTES, tileBytes)]).toEqual([name, true]);
            expect([name, pixels >= Math.min(4, geometry.outWidth)]).toEqual([name, true]);
          }
        }
      }
    }
  });
});

test('a model that exists calls it, and the report says so', async () => {
  await freshBackend('wasm');
  const registration = await registerIm2win();
  const x = tf.ones<tf.Rank.R4>([1, 4, 4, 3]);
  const output = tf.depthwiseConv2d(x, tf.ones<tf.Rank.R4>([3, 3, 3, 2]), 1, 'same');
  expect(output.shape).toEqual([1, 4, 4, 6]);
  expect(registration.report()).toMatchObject([
    {kernelName: 'DepthwiseConv2dNative', algorithm: 'depthwise', outShape: [1, 4, 4, 6], calls: 1},
  ]);
  expect(registration.memory().filterBytes).toBe(0);
  registration.unregister();
});

test('a kernel that is not fused takes no notice of a bias or an activation, as stock', async () => {
  await freshBackend('wasm');
  const registration = await registerIm2win();
  const x = tf.fill([1, 2, 2, 4], -1);
  const inputs = {x, filter: tf.ones([1, 1, 4, 1]), bias: tf.ones([4])};
  const attributes = {strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: 1, activation: 'relu'};
  const output = tf
    .engine()
    .runKernel('DepthwiseConv2dNative', inputs, attributes as unknown as tf.NamedAttrMap) as tf.Tensor;
  expect(new Set(output.dataSync())).toEqual(new Set([-1]));
  registration.unregister();
});

test('NCHW, which stock wasm reads as NHWC, is never left to it', async () => {
  await freshBackend('wasm');
  const registration = await registerIm2win({algorithm: 'stock'});
  const problem = depthwiseCase([1, 5, 5, 5], [3, 3, 5, 1], {pad: 'same'});
  for (const kernel of ['DepthwiseConv2dNative', 'FusedDepthwiseConv2D']) {
    const {full, operands} = depthwiseOperandsOf(problem, LINEAR, 1);
    expectConvolution(runConv(kernel, problem, LINEAR, operands, 'NCHW'), problem, LINEAR, full);
  }
  registration.unregister();
});

test('what algorithm stock leaves to stock on wasm is right, and the rest is ours', async () => {
  await freshBackend('wasm');
  const registration = await registerIm2win({algorithm: 'stock'});
  const taken = {stock: 0, ours: 0};
  for (const filter of [
    [1, 1],
    [3, 3],
    [2, 3],
    [3, 1],
    [1, 4],
  ]) {
    for (const strides of [
      [1, 1],
      [2, 2],
      [1, 2],
      [4, 4],
    ] as [number, number][]) {
      for (const pad of ['same', 'valid', 1, 2] as const) {
        const problem = depthwiseCase([1, 7, 9, 3], [filter[0], filter[1], 3, 2], {strides, pad});
        tf.tidy(() => {
          const {full, operands} = depthwiseOperandsOf(problem, LINEAR, 1);
          const output = runConv('DepthwiseConv2dNative', problem, LINEAR, operands);
          expectConvolution(output, problem, LINEAR, full);
        });
        ++taken[registration.report().at(-1)?.algorithm === 'stock' ? 'stock' : 'ours'];
      }
    }
  }
  expect(taken.stock).toBeGreaterThan(20);
  expect(taken.ours).toBeGreaterThan(20);
  registration.unregister();
});
