// Kernels that compute values one by one: shapes, dtypes and values of tfjs's cpu backend.
import {BATCH_NORM_KERNELS} from '../src/batchNormKernels.ts';
import {BINARY_KERNELS} from '../src/binaryKernels.ts';
import {type Im2winOptions, type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {ZIP_KERNELS} from '../src/zipKernels.ts';
import {type AroundCase, expectedOf, expectNear, operand, run} from './aroundCases.ts';
import {expectFailure, expectReplaced, isLeft} from './aroundRegistered.ts';
import {BINARY_CASES} from './binaryCases.ts';
import {toleranceOf} from './elementwiseError.ts';
import {sweepCases} from './sweepCases.ts';
import {freshWasm, tf} from './tf.ts';

sweepCases({
  cases: BINARY_CASES,
  reasons: ['there is nothing to compute'],
  compare: (one, got, expected) => expectNear(one, got, expected, toleranceOf(one)),
});

describe('registered', () => {
  let registration: Im2winRegistration | undefined;
  const register = async (options?: Im2winOptions) => {
    registration = await registerIm2win({numThreads: 1, ...options});
    return registration;
  };
  beforeEach(() => freshWasm());
  afterEach(() => registration?.unregister());

  test('the kernels are replaced, and restored exactly', async () => {
    await expectReplaced([...BINARY_KERNELS, ...ZIP_KERNELS, ...BATCH_NORM_KERNELS], () => {
      expect([...tf.maximum(tf.tensor1d([1, 2]), tf.tensor1d([3, 0])).dataSync()]).toEqual([3, 2]);
    });
  });

  test('report({all: true}) shows them', async () => {
    const {report} = await register();
    const x = tf.ones([2, 99]);
    tf.less(x, 2);
    tf.addN([x, x]);
    tf.where(tf.cast(x, 'bool'), x, x);
    tf.batchNorm(x as tf.Tensor2D, tf.ones([99]), tf.ones([99]));
    const record = {backend: 'wasm', outputShapes: [[2, 99]], calls: 1};
    expect(report({all: true}).filter(({kernelName}) => kernelName !== 'Cast')).toEqual([
      {...record, kernelName: 'Less', algorithm: 'binary', inputShapes: [[2, 99], []], dtype: 'float32'},
      {
        ...record,
        kernelName: 'AddN',
        algorithm: 'sum',
        inputShapes: [
          [2, 99],
          [2, 99],
        ],
        dtype: 'float32',
      },
      {
        ...record,
        kernelName: 'Select',
        algorithm: 'select',
        inputShapes: [
          [2, 99],
          [2, 99],
          [2, 99],
        ],
        dtype: 'bool',
      },
      {
        ...record,
        kernelName: 'FusedBatchNorm',
        algorithm: 'batchNorm',
        inputShapes: [[1, 1, 2, 99], [99], [99]],
        outputShapes: [[1, 1, 2, 99]],
        dtype: 'float32',
      },
    ]);
  });

  const prelu = (x: number[], alpha: number[]) => ({x: operand(x), alpha: operand(alpha)});
  const select = (shape: number[], dtype?: 'bool') => ({
    condition: operand(shape, 'bool'),
    t: operand(shape, dtype),
    e: operand(shape, dtype),
  });
  const batchNorm = (shape: number[]) => ({x: operand(shape), mean: operand([1]), variance: operand([1])});

  test.each([
    ['Add', {a: operand([]), b: operand([])}, false, false],
    ['Select', select([192]), true, true],
    ['Select', select([193]), false, false],
    ['Select', select([1], 'bool'), false, false],
    ['FusedBatchNorm', batchNorm([4, 48]), true, true],
    ['FusedBatchNorm', batchNorm([1, 193]), false, false],
    ['Prelu', prelu([9, 5], [5]), true, true],
    ['Prelu', prelu([9, 5], [1, 5]), true, true],
    ['Prelu', prelu([9, 5], [1, 1]), true, true],
    ['Prelu', prelu([9, 5], [9, 5]), true, true],
    ['Prelu', prelu([512, 257], [257]), true, false],
    ['Prelu', prelu([9, 5], [9, 1]), false, false],
    ['Prelu', prelu([9, 5], [1, 1, 5]), false, false],
    ['Prelu', prelu([9, 1], [9, 5]), false, false],
    ['Prelu', {}, false, false],
  ] as [string, AroundCase['inputs'], boolean, boolean][])(
    '%s %j is left to tfjs: %p, on a shared memory %p',
    (kernelName, inputs, plain, shared) => {
      const one = {kernelName, inputs, attrs: {varianceEpsilon: 0.1}};
      expect([isLeft(one, false), isLeft(one, true)]).toEqual([plain, shared]);
    },
  );

  test.each(['Select', 'FusedBatchNorm'])('%s that is left is right, too', async (kernelName) => {
    const cases = BINARY_CASES[kernelName];
    const expected = await expectedOf(cases);
    await tf.setBackend('wasm');
    await register();
    cases.forEach((one, i) => {
      expectNear(one, run(one), expected[i], toleranceOf(one));
    });
  });

  test('Prelu that is left is right for slopes that are numbers', async () => {
    const {report} = await register();
    const x = tf.tensor1d([Number.NaN, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2]);
    const y = tf.prelu(x, tf.tensor1d([0.5, 0.5, -1, 0.5, 0]));
    expect([...y.dataSync()]).toEqual([
      Number.NaN,
      -0.5,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      2,
    ]);
    expect(report({all: true})).toEqual([]);
    expect([...tf.prelu(tf.tensor2d([[-1], [2]]), tf.tensor2d([[3], [4]])).dataSync()]).toEqual([-3, 2]);
  });

  test('other dtypes are left to tfjs', async () => {
    const {report} = await register();
    const ints = tf.tensor1d([1, 2 ** 30], 'int32');
    expect([...tf.mul(ints, ints).dataSync()]).toEqual([1, 0]);
    expect([...tf.equal(ints, ints).dataSync()]).toEqual([1, 1]);
    expect([...tf.addN([ints, ints]).dataSync()]).toEqual([2, -(2 ** 31)]);
    expect(report({all: true}).map(({reason}) => reason)).toEqual(
      new Array<string>(3).fill('a tensor has dtype int32'),
    );
  });

  test.each([
    ['Add', {a: operand([3, 4]), b: operand([3, 5])}, {}],
    ['Add', {a: operand([3, 4])}, {}],
    ['Less', {a: operand([3, 4]), b: operand([4, 3, 3])}, {}],
  ] as [string, AroundCase['inputs'], object | undefined][])(
    '%s %j %j fails as by tfjs',
    async (kernelName, inputs, attrs) => expectFailure({kernelName, inputs, attrs}, await register()),
  );
});
