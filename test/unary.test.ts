// Functions of one value: those of plain doubles, over all floats' exponents, and tfjs's cpu backend for what is odd.
import type {AroundRecord} from '../src/around.ts';
import {type Flavour, registerIm2win} from '../src/index.ts';
import type {ServedBackend} from '../src/served.ts';
import {UNARY_KERNELS} from '../src/unaryKernels.ts';
import {
  type AroundCase,
  expectedOf,
  expectNear,
  operand,
  run,
  ShuffledTasks,
  serveAll,
} from './aroundCases.ts';
import {expectReplaced} from './aroundRegistered.ts';
import {freshWasm, tf} from './tf.ts';

const {fround} = Math;
const SELU_SCALE = 1.0507009873554805;
const SELU_SCALEALPHA = 1.7580993408473768;
const ALPHA = 0.2;

interface Function1 {
  readonly of: (x: number) => number;
  readonly attrs?: object;
  /**
   * The most that a value may differ, in units in the last place of the exact one. 0.5 is rounding once, as tfjs's
   * cpu backend does.
   */
  readonly ulps: number;
  /** Values closer to 0 than this may become 0. */
  readonly flushed?: number;
}

/**
 * Rounding a float is 0.5; a factor or a square root that was rounded before is 1 more. Of exp it is the sum 1 + q, and of
 * the error of q, whose unit is half as large, a half. Elu, sigmoid, tanh and softplus have some of these in a row.
 */
const FUNCTIONS: Readonly<Record<string, Function1>> = {
  LeakyRelu: {of: (x) => (x < 0 ? ALPHA * x : x), attrs: {alpha: ALPHA}, ulps: 1.5},
  Elu: {of: (x) => (x >= 0 ? x : Math.expm1(x)), ulps: 2},
  Selu: {of: (x) => (x >= 0 ? SELU_SCALE * x : SELU_SCALEALPHA * Math.expm1(x)), ulps: 3},
  // exp(-x) counts as infinite from 2^127.5 on.
  Sigmoid: {of: (x) => 1 / (1 + Math.exp(-x)), ulps: 2.5, flushed: 2 ** -127.4},
  Tanh: {of: Math.tanh, ulps: 3},
  Exp: {of: Math.exp, ulps: 1},
  Sqrt: {of: Math.sqrt, ulps: 0.5},
  Rsqrt: {of: (x) => 1 / Math.sqrt(x), ulps: 1.5},
  Reciprocal: {of: (x) => 1 / x, ulps: 0.5},
};

/** All exponents, both signs, and so many fractions of each; denser between -128 and 128. */
function sample(): Float32Array {
  const bits: number[] = [];
  const mantissas = 97;
  for (let exponent = 0; exponent < 256; ++exponent) {
    const dense = exponent > 100 && exponent < 135 ? 8 : 1;
    for (let i = 0; i < dense * mantissas; ++i) {
      const mantissa = Math.floor((i * 2 ** 23) / (dense * mantissas));
      bits.push((exponent << 23) | mantissa, (1 << 31) | (exponent << 23) | mantissa);
    }
  }
  // Both sides of what is rounded, split or infinite.
  for (const edge of [0.5, 1, 2, 8, 9.0109, 16, 87, 87.3365, 88, 88.376, 88.7228, 89, 103.28, 103.972, 104]) {
    const [middle] = new Int32Array(Float32Array.of(edge).buffer);
    for (let i = -40; i <= 40; ++i) bits.push(middle + i, (1 << 31) | (middle + i));
  }
  return new Float32Array(Int32Array.from(bits).buffer);
}

const SAMPLE = sample();

/** The distance between floats around a value. */
function ulpOf(value: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return 2 ** (Math.max(Math.min(exponent, 127), -126) - 23);
}

/** What is wrong with values, or the largest error. */
function errorOf(got: Float32Array, {of, ulps, flushed = 0}: Function1): string | undefined {
  for (let i = 0; i < SAMPLE.length; ++i) {
    const exact = of(SAMPLE[i]);
    const rounded = fround(exact);
    if (Object.is(got[i], rounded) || got[i] === rounded) continue;
    // The greatest float and infinity are neighbours.
    const value = Number.isFinite(got[i]) ? got[i] : Math.sign(got[i]) * 2 ** 128;
    const error = Math.abs(value - exact) / ulpOf(exact);
    if (error <= ulps || (got[i] === 0 && Math.abs(exact) < flushed)) continue;
    return `of ${SAMPLE[i]}: ${got[i]}, not ${exact} (${error} ulps)`;
  }
  return undefined;
}

/** Counts with every remainder of the vectors that are computed at a time, and shares of none. */
const COUNTS = [...new Array(37).keys(), 63, 64, 80, 163];

const casesOf = (kernelName: string): AroundCase[] =>
  COUNTS.filter((count) => count > 0).map((count) => ({
    kernelName,
    inputs: {x: operand([count])},
    attrs: FUNCTIONS[kernelName].attrs ?? {},
  }));

/** Of the values that cases have, of which most are in the hundreds: a few units in the last place. */
const TOLERANCE = (expected: number) => 4 * 2 ** -24 * Math.abs(expected) + 2 ** -126;

test('each kernel is tested', () => {
  expect(Object.keys(FUNCTIONS).sort()).toEqual(UNARY_KERNELS.map(({name}) => name).sort());
});

describe.each(['strict', 'relaxed'] as Flavour[])('%s', (simd) => {
  let served: ServedBackend;
  beforeAll(async () => {
    await freshWasm();
    served = await serveAll(simd);
  });
  afterAll(() => served.unregister());

  test.each(Object.entries(FUNCTIONS))('%s over all exponents', async (kernelName, one) => {
    await tf.setBackend('wasm');
    const got = tf.tidy(
      () =>
        tf
          .engine()
          .runKernel(kernelName, {x: tf.tensor1d(SAMPLE)}, (one.attrs ?? {}) as tf.NamedAttrMap) as tf.Tensor,
    );
    expect(errorOf(got.dataSync() as Float32Array, one)).toBeUndefined();
    got.dispose();
    expect(served.report(true).filter((record) => record.kernelName === kernelName)).toMatchObject([
      {algorithm: 'unary'},
    ]);
  });

  test.each(Object.keys(FUNCTIONS))('%s of any number of values', async (kernelName) => {
    const cases = casesOf(kernelName);
    const expected = await expectedOf(cases);
    await tf.setBackend('wasm');
    const tasks = await ShuffledTasks.create(simd);
    cases.forEach((one, i) => {
      const got = run(one);
      expectNear(one, got, expected[i], TOLERANCE);
      // Whatever is beside a value, and whoever computes it.
      expect(tasks.run(one)).toEqual(got);
    });
  });

  test('other dtypes and attributes are left to tfjs', async () => {
    await tf.setBackend('wasm');
    const reasons = (one: AroundCase) => {
      run(one);
      const records = served.report(true) as AroundRecord[];
      return records.filter(({kernelName}) => kernelName === one.kernelName).map(({reason}) => reason);
    };
    expect(reasons({kernelName: 'Sqrt', inputs: {x: operand([3], 'int32')}})).toContain('x has dtype int32');
    const leaky = {kernelName: 'LeakyRelu', inputs: {x: operand([3])}};
    expect(reasons({...leaky, attrs: {}})).toContain('an argument is not as it should be');
    const nan = {...leaky, inputs: {x: operand([3, 1])}, attrs: {alpha: Number.NaN}};
    const [expected] = await expectedOf([nan]);
    await tf.setBackend('wasm');
    for (let i = 0; i < 2; ++i) expectNear(nan, run(nan), expected, TOLERANCE);
    const records = served.report(true) as AroundRecord[];
    // The second call has found the first one's route.
    expect(records.filter(({inputShapes}) => `${inputShapes}` === '3,1')).toMatchObject([{calls: 2}]);
  });
});

test('the kernels are replaced, and restored exactly', async () => {
  await freshWasm();
  await expectReplaced(UNARY_KERNELS, () => tf.dispose(tf.exp(tf.ones([3000]))));
});

test('small calls are left to tfjs, uncounted', async () => {
  await freshWasm();
  const {report, unregister} = await registerIm2win({numThreads: 1});
  tf.tidy(() => {
    for (const count of [0, 1, 2048]) tf.sigmoid(tf.ones([count]));
    tf.sigmoid(tf.ones([50, 50]));
    tf.leakyRelu(tf.ones([50, 50]), 0.5);
  });
  expect(report({all: true})).toMatchObject([
    {kernelName: 'Sigmoid', outputShapes: [[50, 50]], dtype: 'float32', algorithm: 'unary', calls: 1},
    {kernelName: 'LeakyRelu', algorithm: 'unary'},
  ]);
  unregister();
});
