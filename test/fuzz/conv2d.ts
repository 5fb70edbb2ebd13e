// Random convolutions: geometry, padding, epilogue, batch.
import fc from 'fast-check';
import {ACTIVATIONS, TFJS_ACTIVATIONS} from '../../src/activation.ts';
import {type Flavour, IM2WIN_CONV_2D, type Im2winRegistration, registerIm2win} from '../../src/index.ts';
import {
  type ConvCase,
  convCase,
  type Epilogue,
  expectConvolution,
  freshBackend,
  operandsOf,
  runConv,
  tf,
} from '../tf.ts';
import type {FuzzRow} from './row.ts';

export interface Conv2dCase {
  readonly problem: ConvCase;
  readonly epilogue: Epilogue;
  /** Of the values. */
  readonly seed: number;
  /** On a heap that was never used before; else on one that many cases have used. */
  readonly freshHeap: boolean;
}

const pair = (least: number, most: number) =>
  fc.tuple(fc.integer({min: least, max: most}), fc.integer({min: least, max: most}));
const side = pair(-1, 4);

const pads = fc.oneof(
  fc.constantFrom('same' as const, 'valid' as const),
  fc.integer({min: 0, max: 4}),
  fc
    .tuple(side, side)
    .map(([height, width]): tf.backend_util.ExplicitPadding => [[0, 0], height, width, [0, 0]]),
);

// A product of small integers and a few larger ones: tails of every kind, and blocks of several rows.
const channels = (most: number) =>
  fc.oneof({weight: 5, arbitrary: fc.integer({min: 1, max: 9})}, fc.integer({min: 1, max: most}));

export const problems: fc.Arbitrary<ConvCase> = fc
  .record({
    batch: fc.integer({min: 1, max: 3}),
    image: fc.oneof({weight: 5, arbitrary: pair(1, 20)}, pair(1, 60)),
    filter: fc.oneof({weight: 4, arbitrary: pair(1, 4)}, pair(1, 9)),
    inChannels: channels(20),
    outChannels: channels(27),
    strides: fc.oneof({weight: 9, arbitrary: pair(1, 5)}, pair(1, 40)),
    dilations: fc.oneof(
      {weight: 8, arbitrary: fc.constant<[number, number]>([1, 1])},
      {weight: 3, arbitrary: pair(1, 4)},
      pair(1, 50),
    ),
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

const cases = casesOf(problems);

/** Of tfjs's kernel and this package's, the one that has the epilogue. */
export function kernelFor({activation, residual}: Epilogue, ofTfjs: string, own: string): string {
  const isOfTfjs = TFJS_ACTIVATIONS.some((name) => name === activation) && residual === undefined;
  return isOfTfjs ? ofTfjs : own;
}

/** Cases with problems of some kind. */
export function casesOf(kind: fc.Arbitrary<ConvCase>): fc.Arbitrary<Conv2dCase> {
  return kind.chain(caseOf);
}

function caseOf(problem: ConvCase): fc.Arbitrary<Conv2dCase> {
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
        residual: fc.constantFrom(undefined, undefined, 'before' as const, 'after' as const),
        hardsigmoidAlpha: fc.constantFrom(undefined, 1 / 6, -0.5),
        clipMin: fc.constantFrom(undefined, -1, 0.25),
        clipMax: fc.constantFrom(undefined, 0.25, 6),
      })
      .map(({slopeShape, ...rest}): Epilogue => (rest.activation === 'prelu' ? {...rest, slopeShape} : rest)),
    seed: fc.integer({min: 1, max: 1000}),
    freshHeap: fc.oneof({weight: 39, arbitrary: fc.constant(false)}, fc.constant(true)),
  });
}

export function conv2dRow(
  backend: 'wasm' | 'cpu',
  algorithm: 'auto' | 'im2win' | 'winograd',
  simd: Flavour | 'auto',
  dataFormat: 'NHWC' | 'NCHW' = 'NHWC',
): FuzzRow<Conv2dCase> {
  let registration: Im2winRegistration | undefined;
  return {
    name:
      backend === 'wasm' && dataFormat === 'NHWC'
        ? `conv2d-${algorithm}-${simd}`
        : `conv2d-${algorithm}-${backend}-${dataFormat.toLowerCase()}`,
    cases,
    async start() {
      await freshBackend(backend);
      registration = await registerIm2win({simd, algorithm});
    },
    async run({problem, epilogue, seed, freshHeap}) {
      if (freshHeap) await freshBackend(backend);
      tf.tidy(() => {
        const operands = operandsOf(problem, epilogue, seed);
        const kernel = kernelFor(epilogue, 'FusedConv2D', IM2WIN_CONV_2D);
        const output = runConv(kernel, problem, epilogue, operands, dataFormat);
        // 'auto' may choose Winograd.
        expectConvolution(
          output,
          problem,
          epilogue,
          operands,
          algorithm === 'im2win' ? 'im2win' : 'winograd',
        );
      });
    },
    async stop() {
      registration?.unregister();
    },
  };
}
