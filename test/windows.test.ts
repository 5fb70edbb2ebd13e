// Reductions and resizes among other calls: what is left to tfjs, what fails, and calls that look alike.
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {type AroundCase, expectedOf, expectNear, operand, run} from './aroundCases.ts';
import {expectFailure} from './aroundRegistered.ts';
import {freshWasm, tf} from './tf.ts';

let registration: Im2winRegistration;
beforeEach(async () => {
  await freshWasm();
  registration = await registerIm2win({numThreads: 1});
});
afterEach(() => registration.unregister());

const reports = () => registration.report({all: true});

test('what tfjs has done before a route is found is left to it, uncounted', () => {
  const x = tf.ones([4, 64]);
  for (const axis of [1, -1, [1], undefined])
    tf.dispose([tf.sum(x, axis), tf.max(x, axis), tf.mean(x, axis)]);
  tf.image.resizeBilinear(tf.ones([1, 2, 2, 32]) as tf.Tensor4D, [8, 8]);
  expect(reports()).toEqual([]);
  tf.sum(x, 0);
  tf.sum(tf.ones([257]));
  tf.image.resizeBilinear(tf.ones([1, 2, 2, 33]) as tf.Tensor4D, [8, 8]);
  expect(reports().map(({kernelName, algorithm}) => [kernelName, algorithm])).toEqual(
    expect.arrayContaining([
      ['Sum', 'reduce'],
      ['Sum', 'reduce'],
      ['ResizeBilinear', 'resize'],
    ]),
  );
});

test('why a call is left to tfjs', () => {
  tf.sum(tf.ones([30, 10]), 1);
  tf.max(tf.ones([30, 10], 'int32'), 0);
  tf.image.resizeNearestNeighbor(tf.ones([1, 9, 9, 8], 'int32') as tf.Tensor4D, [6, 6]);
  tf.image.resizeBilinear(tf.ones([1, 1, 2, 1]) as tf.Tensor4D, [1, 2 ** 16]);
  expect(reports().map(({reason}) => reason)).toEqual(
    expect.arrayContaining([
      'more than 65536 rows and columns',
      'tfjs adds up short rows as fast',
      'x has dtype int32',
      'images have dtype int32',
    ]),
  );
});

test.each([
  ['Sum', {x: operand([30, 40])}, {axis: 2}],
  ['Max', {x: operand([30, 40])}, {reductionIndices: [-3]}],
  ['Mean', {}, {axis: 0}],
  ['ResizeBilinear', {}, {size: [20, 20]}],
  ['ResizeBilinear', {images: operand([1, 4, 4, 5])}, {}],
] as [string, AroundCase['inputs'], object | undefined][])(
  '%s %j %j fails as by tfjs',
  (kernelName, inputs, attrs) => expectFailure({kernelName, inputs, attrs}, registration),
);

test('a number is not a list of it and what follows', async () => {
  const sum = (axis: unknown): AroundCase => ({
    kernelName: 'Max',
    inputs: {x: operand([30, 20])},
    attrs: {reductionIndices: axis, keepDims: true},
  });
  const cases = [sum(0), sum([])];
  const expected = await expectedOf(cases);
  await tf.setBackend('wasm');
  expect(cases.map(run)).toEqual(expected);
});

test('NaN and infinity come through', async () => {
  const inputs = {x: operand([2, 9, 9, 21])};
  const cases: AroundCase[] = [
    {kernelName: 'Sum', inputs, attrs: {axis: [1]}},
    {kernelName: 'Mean', inputs, attrs: {axis: [0, 3]}},
    {
      kernelName: 'ResizeBilinear',
      inputs: {images: inputs.x},
      attrs: {size: [13, 4], alignCorners: false, halfPixelCenters: true},
    },
  ];
  const expected = await expectedOf(cases);
  await tf.setBackend('wasm');
  // Only what is not finite must be the same.
  for (const [i, one] of cases.entries()) expectNear(one, run(one), expected[i], () => Number.MAX_VALUE);
});

test('no sum overflows on the way', async () => {
  const large = 3e38;
  const x = tf.tensor2d([large, large, -large, -large, 1, 1, 0, 0], [8, 1]);
  const values = tf.tile(x, [1, 40]);
  expect([...tf.sum(values, 0).dataSync()]).toEqual(new Array(40).fill(2));
  expect([...tf.mean(tf.tile([large, large, -large, -large], [80])).dataSync()]).toEqual([0]);
  expect([...tf.mean(tf.fill([300, 5], large), 0).dataSync()]).toEqual(new Array(5).fill(Math.fround(large)));
});
