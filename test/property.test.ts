// Random convolutions against the reference. A failure names its seed and path;
// SEED and RUNS in the environment change the sweep.
import fc from 'fast-check';
import {ACTIVATIONS} from '../src/activation.ts';
import {registerIm2win} from '../src/index.ts';
import {
  type ConvCase,
  convCase,
  type Epilogue,
  expectConvolution,
  freshWasm,
  operandsOf,
  runConv,
  tf,
} from './tf.ts';

const seed = Number(process.env.SEED ?? 20220919);
const numRuns = Number(process.env.RUNS ?? 400);

const pair = (least: number, most: number) =>
  fc.tuple(fc.integer({min: least, max: most}), fc.integer({min: least, max: most}));
const side = fc.tuple(fc.integer({min: -1, max: 4}), fc.integer({min: -1, max: 4}));

const pads = fc.oneof(
  fc.constantFrom('same' as const, 'valid' as const),
  fc.integer({min: 0, max: 4}),
  fc
    .tuple(side, side)
    .map(([height, width]): tf.backend_util.ExplicitPadding => [[0, 0], height, width, [0, 0]]),
);

const problems: fc.Arbitrary<ConvCase> = fc
  .record({
    batch: fc.integer({min: 1, max: 3}),
    image: pair(1, 20),
    filter: pair(1, 5),
    inChannels: fc.integer({min: 1, max: 11}),
    outChannels: fc.integer({min: 1, max: 19}),
    strides: pair(1, 5),
    dilations: pair(1, 4),
    pad: pads,
    rounding: fc.constantFrom('floor' as const, 'round' as const, 'ceil' as const, undefined),
  })
  .map(({batch, image, filter, inChannels, outChannels, strides, dilations, pad, rounding}) =>
    convCase([batch, ...image, inChannels], [...filter, inChannels, outChannels], {
      strides,
      dilations,
      pad,
      dimRoundingMode: typeof pad === 'string' ? undefined : rounding,
    }),
  )
  .filter(({outHeight, outWidth}) => outHeight >= 0 && outWidth >= 0);

const cases = problems.chain((problem) => {
  const shape = [problem.xShape[0], problem.outHeight, problem.outWidth, problem.filterShape[3]];
  const operand = fc.oneof(
    fc.constantFrom([], [1], [shape[3]], [1, 1, shape[3]], shape.slice(1), shape),
    fc.tuple(...shape.map((extent) => fc.constantFrom(1, extent))),
  );
  return fc.record({
    problem: fc.constant(problem),
    epilogue: fc
      .record({
        activation: fc.constantFrom(...ACTIVATIONS),
        biasShape: fc.option(operand, {nil: undefined}),
        slopeShape: operand,
      })
      .map(({slopeShape, ...rest}): Epilogue => (rest.activation === 'prelu' ? {...rest, slopeShape} : rest)),
  });
});

describe.each([
  ['im2win', 'strict'],
  ['im2win', 'relaxed'],
  ['winograd', 'strict'],
  ['winograd', 'relaxed'],
] as const)('random convolutions by %s, %s', (algorithm, simd) => {
  beforeAll(async () => {
    await freshWasm();
    await registerIm2win({simd, algorithm});
  });
  afterAll(async () => (await registerIm2win()).unregister());

  test(`${numRuns} of seed ${seed}`, () => {
    fc.assert(
      fc.property(cases, fc.integer({min: 1, max: 1000}), ({problem, epilogue}, values) => {
        tf.tidy(() => {
          const operands = operandsOf(problem, epilogue, values);
          const output = runConv('FusedConv2D', problem, epilogue, operands);
          expectConvolution(output, problem, epilogue, operands, algorithm);
        });
      }),
      {seed, numRuns},
    );
  });
});
