// Im2winConv2D on each backend against the reference: each class of
// geometry, each tail of the tile, each activation, in both flavours.
import {registerIm2win} from '../src/index.ts';
import {
  type ConvCase,
  convCase,
  type Epilogue,
  expectConvolution,
  freshBackend,
  LINEAR,
  operandsOf,
  runConv,
  tf,
} from './tf.ts';

const explicit = (
  top: number,
  bottom: number,
  left: number,
  right: number,
): tf.backend_util.ExplicitPadding => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
];

const range = (from: number, to: number) => Array.from({length: to - from + 1}, (_, i) => from + i);

const GEOMETRIES: Record<string, ConvCase[]> = {
  'output widths, through every height of a tile': range(1, 14).map((width) =>
    convCase([1, 3, width + 2, 5], [3, 3, 5, 8]),
  ),
  'output channels, through every width of a panel': range(1, 18).map((channels) =>
    convCase([1, 5, 6, 3], [3, 2, 3, channels]),
  ),
  'input channels, through every vector tail': range(1, 9).map((channels) =>
    convCase([1, 5, 6, channels], [2, 3, channels, 5], {pad: 'same'}),
  ),
  '1×1, read in place': [
    ...range(1, 13).map((width) => convCase([1, 1, width, 6], [1, 1, 6, 9])),
    convCase([3, 5, 7, 4], [1, 1, 4, 10]),
    convCase([3, 6, 7, 4], [1, 1, 4, 10], {strides: [2, 3]}),
    convCase([2, 6, 8, 4], [1, 1, 4, 10], {strides: [3, 2], pad: 'same'}),
    convCase([2, 4, 9, 3], [1, 4, 3, 7], {strides: [1, 2]}),
  ],
  // A small filter, or a wide one, takes a few windows at a time; others take panel after panel.
  'small filters, through every group of tiles': [
    ...range(1, 14).map((width) => convCase([1, 7, width, 16], [1, 1, 16, 20])),
    ...range(1, 14).map((width) =>
      convCase([1, 8, width + 2, 3], [3, 3, 3, 16], {pad: explicit(1, 0, 0, 0)}),
    ),
    convCase([1, 30, 31, 24], [1, 1, 24, 40]),
    convCase([1, 9, 40, 5], [2, 2, 5, 40], {strides: [1, 2]}),
  ],
  'wide filters': range(1, 14).map((width) => convCase([1, 3, width, 40], [1, 1, 40, 124])),
  'filters that are neither': range(1, 14).map((width) => convCase([1, 3, width, 520], [1, 1, 520, 12])),
  '1×1, with padding': [
    convCase([2, 4, 5, 3], [1, 1, 3, 8], {pad: explicit(1, 2, 2, 1)}),
    convCase([1, 4, 5, 3], [1, 1, 3, 8], {pad: 2, strides: [2, 2]}),
  ],
  batches: range(1, 4).map((batch) => convCase([batch, 5, 4, 3], [3, 3, 3, 6], {pad: 'same'})),
  'rectangular filters and images': [
    convCase([2, 9, 4, 3], [5, 1, 3, 6]),
    convCase([2, 4, 9, 3], [1, 5, 3, 6], {pad: 'same'}),
    convCase([1, 11, 6, 2], [4, 3, 2, 9], {pad: 'same'}),
    convCase([1, 1, 30, 7], [1, 7, 7, 4], {pad: 'same'}),
  ],
  'unequal strides': [
    convCase([2, 11, 10, 3], [3, 3, 3, 8], {strides: [2, 3], pad: 'same'}),
    convCase([1, 11, 10, 3], [3, 2, 3, 8], {strides: [1, 4]}),
    convCase([1, 10, 11, 3], [2, 3, 3, 8], {strides: [4, 1]}),
    convCase([1, 23, 23, 3], [11, 11, 3, 12], {strides: [4, 4]}),
  ],
  'strides larger than the filter': [
    convCase([2, 13, 13, 3], [2, 2, 3, 8], {strides: [5, 4], pad: 'same'}),
    convCase([1, 7, 7, 2], [3, 3, 2, 5], {strides: [6, 6], pad: 'same'}),
    convCase([1, 13, 13, 3], [1, 2, 3, 8], {strides: [3, 5]}),
    convCase([1, 9, 9, 3], [2, 2, 3, 4], {strides: [9, 9], pad: 'same'}),
  ],
  dilations: [
    convCase([1, 12, 13, 3], [3, 3, 3, 8], {dilations: [2, 2]}),
    convCase([2, 12, 13, 3], [3, 3, 3, 8], {dilations: [2, 3], pad: 'same'}),
    convCase([1, 9, 30, 2], [2, 5, 2, 9], {dilations: [3, 4], pad: 'same'}),
    convCase([1, 9, 5, 2], [2, 3, 2, 9], {dilations: [1, 4], pad: 'same'}),
    convCase([1, 9, 5, 2], [3, 1, 2, 9], {dilations: [3, 7]}),
  ],
  'dilations and strides at once': [
    convCase([2, 14, 15, 3], [3, 3, 3, 8], {dilations: [2, 3], strides: [3, 2]}),
    convCase([1, 14, 25, 3], [2, 3, 3, 8], {dilations: [2, 4], strides: [2, 6], pad: 'same'}),
    convCase([1, 14, 25, 3], [2, 3, 3, 8], {dilations: [2, 6], strides: [2, 4], pad: 'same'}),
    convCase([1, 14, 25, 3], [2, 2, 3, 8], {dilations: [1, 2], strides: [1, 6], pad: 'same'}),
  ],
  'numeric padding, each rounding mode': (['floor', 'round', 'ceil', undefined] as const).flatMap(
    (dimRoundingMode) => [
      convCase([1, 8, 9, 3], [3, 3, 3, 5], {pad: 1, strides: [2, 2], dimRoundingMode}),
      convCase([2, 8, 11, 3], [3, 2, 3, 5], {pad: 2, strides: [2, 3], dimRoundingMode}),
      convCase([1, 11, 8, 3], [2, 5, 3, 5], {pad: 0, strides: [3, 2], dimRoundingMode}),
    ],
  ),
  'explicit padding, each rounding mode': (['floor', 'round', 'ceil', undefined] as const).flatMap(
    (dimRoundingMode) => [
      convCase([1, 8, 9, 3], [3, 3, 3, 5], {pad: explicit(0, 1, 2, 3), strides: [2, 2], dimRoundingMode}),
      convCase([2, 6, 7, 2], [4, 3, 2, 9], {pad: explicit(3, 0, 0, 2), strides: [3, 2], dimRoundingMode}),
    ],
  ),
  'windows wholly in the padding': [
    convCase([1, 3, 3, 2], [2, 2, 2, 5], {pad: explicit(4, 4, 4, 4)}),
    convCase([2, 1, 1, 3], [3, 3, 3, 8], {pad: 5}),
    convCase([1, 2, 2, 3], [3, 3, 3, 8], {pad: 4, strides: [3, 3]}),
  ],
  'negative padding, which crops': [convCase([1, 8, 9, 2], [3, 3, 2, 5], {pad: explicit(-1, -2, -2, 0)})],
  'empty outputs': [
    convCase([0, 5, 5, 3], [3, 3, 3, 4]),
    convCase([1, 5, 5, 3], [3, 3, 3, 0]),
    convCase([1, 2, 5, 3], [3, 3, 3, 4]),
  ],
  'no input channels': [convCase([1, 4, 4, 0], [3, 3, 0, 9])],
  'taps, through every width that Winograd takes': range(2, 8).flatMap((width) =>
    ([1, 2, 3, 4] as const).map((stride) =>
      convCase([1, 4, 4 * stride + 19, 3], [2, width, 3, 9], {strides: [1, stride], pad: 'same'}),
    ),
  ),
  'more rows than a block': [
    convCase([1, 60, 40, 16], [3, 3, 16, 8], {pad: 'same'}),
    convCase([2, 3, 300, 33], [3, 3, 33, 8], {pad: 'same'}),
    convCase([5, 4, 3, 64], [3, 3, 64, 24], {pad: 'same'}),
  ],
};

const EPILOGUES: Epilogue[] = [
  {activation: 'linear', biasShape: [11]},
  {activation: 'relu', biasShape: [11]},
  {activation: 'relu6', biasShape: [11]},
  {activation: 'prelu', biasShape: [11], slopeShape: [11]},
  {activation: 'prelu', slopeShape: []},
  {activation: 'prelu', slopeShape: [1]},
  {activation: 'prelu', biasShape: [11], slopeShape: [1, 1, 11]},
  {activation: 'prelu', biasShape: [11], slopeShape: [4, 7, 11]},
  {activation: 'prelu', slopeShape: [4, 1, 11]},
  {activation: 'prelu', slopeShape: [7, 1]},
  {activation: 'prelu', slopeShape: [3, 4, 7, 11]},
  {activation: 'prelu', slopeShape: [3, 1, 1, 1]},
  {activation: 'leakyrelu', biasShape: [11]},
  {activation: 'leakyrelu', biasShape: [11], leakyreluAlpha: 0.3},
  {activation: 'leakyrelu', leakyreluAlpha: -1.5},
  {activation: 'sigmoid', biasShape: [11]},
  {activation: 'elu', biasShape: [11]},
  {activation: 'elu', biasShape: []},
  {activation: 'relu', biasShape: [1]},
  {activation: 'relu', biasShape: [3, 4, 7, 11]},
  {activation: 'linear', biasShape: [4, 1, 1]},
  {activation: 'clip', biasShape: [11], clipMin: -0.25, clipMax: 0.5},
  {activation: 'clip', clipMin: 0.125},
  {activation: 'clip', biasShape: [7, 1], clipMax: -0.125},
  {activation: 'tanh', biasShape: [11]},
  {activation: 'silu', biasShape: [11]},
  {activation: 'silu', biasShape: [3, 4, 7, 11]},
  {activation: 'hardsigmoid', biasShape: [11]},
  {activation: 'hardsigmoid', hardsigmoidAlpha: 1 / 6, hardsigmoidBeta: 0.5},
  {activation: 'hardsigmoid', hardsigmoidAlpha: -2, hardsigmoidBeta: 0.25},
  {activation: 'hardswish', biasShape: [11]},
  {activation: 'linear', residual: 'before'},
  {activation: 'linear', biasShape: [4, 1, 1], residual: 'after'},
  {activation: 'prelu', biasShape: [11], slopeShape: [11], residual: 'before'},
  {activation: 'prelu', biasShape: [11], slopeShape: [4, 7, 11], residual: 'after'},
  {activation: 'leakyrelu', leakyreluAlpha: -1.5, residual: 'before'},
  ...(
    [
      'relu',
      'relu6',
      'sigmoid',
      'elu',
      'tanh',
      'silu',
      'gelu',
      'gelu_new',
      'hardsigmoid',
      'hardswish',
    ] as const
  ).flatMap((activation) =>
    (['before', 'after'] as const).map((residual) => ({activation, biasShape: [11], residual})),
  ),
  {activation: 'clip', biasShape: [11], clipMin: -0.25, clipMax: 0.5, residual: 'after'},
];

// Each reads the input in another way: from strips, in place, by phases.
const EPILOGUE_PROBLEMS = [
  convCase([3, 4, 7, 6], [3, 3, 6, 11], {pad: 'same'}),
  convCase([3, 4, 7, 6], [1, 1, 6, 11]),
  convCase([3, 4, 7, 6], [3, 3, 6, 11], {pad: 'same', dilations: [2, 2]}),
];

describe.each([
  ['wasm', 'im2win', 'strict', 'NHWC'],
  ['wasm', 'im2win', 'relaxed', 'NHWC'],
  ['wasm', 'winograd', 'strict', 'NHWC'],
  ['wasm', 'winograd', 'relaxed', 'NHWC'],
  ['wasm', 'im2win', 'relaxed', 'NCHW'],
  ['wasm', 'winograd', 'strict', 'NCHW'],
  ['cpu', 'im2win', 'auto', 'NHWC'],
  ['cpu', 'im2win', 'auto', 'NCHW'],
  ['cpu', 'winograd', 'auto', 'NHWC'],
  ['cpu', 'winograd', 'auto', 'NCHW'],
] as const)('Im2winConv2D on %s by %s, %s, %s', (backend, algorithm, simd, dataFormat) => {
  beforeAll(async () => {
    await freshBackend(backend);
    const registration = await registerIm2win({simd, algorithm});
    if (simd !== 'auto') expect(registration.simd).toBe(simd);
  });
  afterAll(async () => (await registerIm2win()).unregister());

  function check(problem: ConvCase, epilogue: Epilogue, seed = 1): void {
    tf.tidy(() => {
      const operands = operandsOf(problem, epilogue, seed);
      const output = runConv('Im2winConv2D', problem, epilogue, operands, dataFormat);
      expectConvolution(output, problem, epilogue, operands, algorithm);
    });
  }

  for (const [name, problems] of Object.entries(GEOMETRIES)) {
    test(name, () => {
      for (const problem of problems) {
        check(problem, LINEAR);
        check(problem, {activation: 'relu', biasShape: [problem.filterShape[3]]}, 2);
        check(problem, {activation: 'silu', biasShape: [problem.filterShape[3]], residual: 'before'}, 2);
      }
    });
  }

  test.each(EPILOGUES.map((epilogue) => [JSON.stringify(epilogue), epilogue] as const))(
    'epilogue %s',
    (_, epilogue) => {
      for (const problem of EPILOGUE_PROBLEMS) check(problem, epilogue);
    },
  );

  test('activations over the whole range of floats', () => {
    const values = [
      0, -0, 1e-38, -1e-38, 1e-30, -1e-30, 1e-7, -1e-7, -1e-3, 1e-3, -0.1, -0.3, 0.3, -0.6, -1, 2.5, -2.5, 3,
      -3, 5, -7, 9, -20, 40, 87.5, -86.5, -87.5, 88.5, -88.5, -104, 3e38, -3e38,
    ];
    const problem = convCase([1, 1, values.length, 1], [1, 1, 1, 8]);
    const x = tf.tensor4d(values, [1, 1, values.length, 1]);
    const filter = tf.ones([1, 1, 1, 8]) as tf.Tensor4D;
    for (const activation of [
      'sigmoid',
      'elu',
      'tanh',
      'silu',
      'gelu',
      'gelu_new',
      'hardsigmoid',
      'hardswish',
    ]) {
      const output = runConv('Im2winConv2D', problem, {activation}, {x, filter});
      expectConvolution(output, problem, {activation}, {x, filter});
    }
  });

  test('non-finite values go through as on the cpu backend', () => {
    const row = [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, Number.NEGATIVE_INFINITY, 4];
    const x = tf.tensor4d(row, [1, 1, 7, 1]);
    const filter = tf.ones([1, 1, 1, 9]) as tf.Tensor4D;
    const problem = convCase([1, 1, 7, 1], [1, 1, 1, 9]);
    const expected: Record<string, number[]> = {
      linear: row,
      relu: [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, 0, 4],
      relu6: [1, Number.NaN, 2, 6, 3, 0, 4],
      leakyrelu: row,
      sigmoid: [1, Number.NaN, 2, 1, 3, 0, 4],
      elu: [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, -1, 4],
      tanh: [1, Number.NaN, 2, 1, 3, -1, 4],
      silu: [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, Number.NaN, 4],
      gelu: [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, Number.NaN, 4],
      gelu_new: [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, Number.NaN, 4],
      hardsigmoid: [1, Number.NaN, 2, 1, 3, 0, 4],
      hardswish: [1, Number.NaN, 2, Number.POSITIVE_INFINITY, 3, Number.NaN, 4],
      clip: row,
    };
    for (const [activation, values] of Object.entries(expected)) {
      const output = runConv('Im2winConv2D', problem, {activation}, {x, filter}).dataSync();
      for (const pixel of [1, 3, 5]) {
        for (let channel = 0; channel < 9; ++channel) expect(output[pixel * 9 + channel]).toBe(values[pixel]);
      }
    }
  });
});
