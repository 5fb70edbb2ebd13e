// Depthwise convolutions on every backend, against the full convolutions that they are.
import {registerIm2win} from '../src/index.ts';
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
