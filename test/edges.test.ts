// Tensors at the edge of what can be: empty axes, outputs that no heap holds, and calls in which tfjs's wasm kernels
// write beyond their output.
import '@tensorflow/tfjs-backend-wasm';
import {registerIm2win} from '../src/index.ts';
import {type AroundCase, expectedOf, expectOutcome, operand, run} from './aroundCases.ts';
import {tf} from './tf.ts';

const dtypes = ['float32', 'int32', 'bool'] as const;

const EMPTY: readonly AroundCase[] = [
  ...dtypes.flatMap((dtype) => [
    {
      kernelName: 'PadV2',
      inputs: {x: operand([0, 4, 4, 3], dtype)},
      attrs: {
        paddings: [
          [1, 0],
          [1, 1],
          [1, 1],
          [0, 0],
        ],
        constantValue: dtype === 'bool' ? 1 : 9,
      },
    },
    {
      kernelName: 'PadV2',
      inputs: {x: operand([3, 0], dtype)},
      attrs: {
        paddings: [
          [0, 0],
          [2, 3],
        ],
        constantValue: 0,
      },
    },
    {
      kernelName: 'PadV2',
      inputs: {x: operand([2, 0, 3], dtype)},
      attrs: {
        paddings: [
          [0, 0],
          [0, 0],
          [1, 1],
        ],
        constantValue: 1,
      },
    },
  ]),
  ...['Sum', 'Mean', 'Max', 'Min'].flatMap((kernelName) =>
    [
      {shape: [3, 0], axis: [1]},
      {shape: [0, 5], axis: [0]},
      {shape: [40, 0, 30], axis: [1]},
      {shape: [0], axis: [0]},
    ].map(({shape, axis}) => ({
      kernelName,
      inputs: {x: operand(shape)},
      attrs: kernelName === 'Max' ? {reductionIndices: axis} : {axis},
    })),
  ),
];

const PADS = [
  [1, 0],
  [-1, 0],
];

const PADS_OF_NONE = [
  [0, 0],
  [1, 2],
];

// What tfjs's wasm kernels trap on, dividing by sizes that are 0; and a mirror of nothing, which is left to them.
const TRAPS: readonly AroundCase[] = [
  {kernelName: 'Transpose', inputs: {x: operand([2, 0, 9, 7, 8])}, attrs: {perm: [0, 1, 3, 4, 2]}},
  {kernelName: 'Transpose', inputs: {x: operand([0, 3, 2], 'bool')}, attrs: {perm: [2, 0, 1]}},
  {kernelName: 'Prelu', inputs: {x: operand([8, 7, 0, 8]), alpha: operand([8, 1, 0, 8])}},
  {kernelName: 'Prelu', inputs: {x: operand([0, 4]), alpha: operand([4])}},
  {kernelName: 'Prelu', inputs: {x: operand([0]), alpha: operand([0])}},
  {kernelName: 'MirrorPad', inputs: {x: operand([0, 3])}, attrs: {paddings: PADS_OF_NONE, mode: 'reflect'}},
  ...['Sum', 'Mean', 'Max', 'Min'].map((kernelName) => ({
    kernelName,
    inputs: {x: operand([0, 48, 8, 9])},
    attrs: {[kernelName === 'Max' ? 'reductionIndices' : 'axis']: [2], keepDims: true},
  })),
];

describe('registered', () => {
  let unregister: () => void;
  beforeAll(async () => {
    ({unregister} = await registerIm2win({backends: ['wasm']}));
  });
  afterAll(() => unregister());
  beforeEach(() => tf.setBackend('wasm'));

  /** Fails if memory around tensors is written while `call` throws what matches. */
  function expectRefusal(call: () => unknown, message: RegExp): void {
    const others = Array.from({length: 40}, (_, i) => tf.fill([1 + 7 * i], i));
    expect(() => tf.tidy(() => void call())).toThrow(message);
    others.forEach((other, i) => {
      expect(other.dataSync().every((value) => value === i)).toBe(true);
      other.dispose();
    });
    tf.tidy(() => expect(tf.sum(tf.add(tf.ones([50, 50]), 1)).dataSync()[0]).toBe(5000));
  }

  it('what is made of an empty tensor is that of the cpu backend', async () => {
    const expected = await expectedOf([...EMPTY, ...TRAPS]);
    await tf.setBackend('wasm');
    [...EMPTY, ...TRAPS].forEach((one, i) => {
      // What was in the heap before must not show.
      tf.tidy(() => tf.fill([4096], 77));
      expectOutcome(one, run(one), expected[i]);
    });
  });

  it.each([
    ['tf.add', () => tf.add(tf.ones([2 ** 20, 1]), tf.ones([1, 1024]))],
    ['tf.mul', () => tf.mul(tf.ones([2 ** 20, 1], 'int32'), tf.ones([1, 1024], 'int32'))],
    ['tf.tile', () => tf.tile(tf.ones([1, 1024]), [2 ** 20, 1])],
    [
      'tf.pad',
      () =>
        tf.pad(tf.ones([1, 1]), [
          [0, 2 ** 20 - 1],
          [0, 1023],
        ]),
    ],
    [
      'tf.image.resizeNearestNeighbor',
      () => tf.image.resizeNearestNeighbor(tf.ones<tf.Rank.R4>([1, 9, 9, 9]), [32768, 32768]),
    ],
    [
      'tf.image.resizeBilinear',
      () => tf.image.resizeBilinear(tf.ones<tf.Rank.R4>([1, 9, 9, 9]), [32768, 32768]),
    ],
  ])('%s: an output that no heap holds is an error, and the backend goes on', (op, call) => {
    expectRefusal(
      call,
      new RegExp(`im2win: ${op}: an output of shape .* takes .* bytes; allowed: less than 4294967296`),
    );
  });

  it.each(dtypes)('tf.where does not write beyond an empty %s branch', (dtype) => {
    const call = () => tf.where(tf.ones([5, 3, 1], 'bool'), tf.tensor([], [0], dtype), tf.scalar(1, dtype));
    expectRefusal(
      call,
      /im2win: tf.where: condition, t and e have shapes \[5,3,1\], \[5,3,0\], \[5,3,0\]; allowed: one shape/,
    );
  });

  const image = () => tf.ones<tf.Rank.R4>([2, 6, 6, 3]);
  const large = () => tf.ones<tf.Rank.R4>([2, 60, 60, 3]);
  const vector = () => tf.tensor1d([1, 2, 3, 4]);
  const list = (kernelName: string, x: tf.Tensor, attrs: object) =>
    tf.engine().runKernel(kernelName, {x}, attrs as tf.NamedAttrMap);

  it.each([
    ['size is [-1, 3]', () => tf.image.resizeBilinear(image(), [-1, 3])],
    ['size is [-2, -3]', () => tf.image.resizeNearestNeighbor(image(), [-2, -3])],
    ['size is [-200, 300]', () => tf.image.resizeNearestNeighbor(large(), [-200, 300])],
    ['size is [2.5, 3]', () => tf.image.resizeNearestNeighbor(image(), [2.5, 3])],
    ['size is [NaN, 3]', () => tf.image.resizeBilinear(image(), [Number.NaN, 3])],
    ['paddings is [[-1, 0]]', () => tf.pad(vector(), [[-1, 0]])],
    ['paddings is [[0.5, 0]]', () => tf.pad(vector(), [[0.5, 0]])],
    ['paddings is [[0, 0]]', () => tf.pad(image(), [[0, 0]])],
    ['paddings is [[1, 0], [-1, 0]]', () => tf.spaceToBatchND(image(), [1, 1], PADS)],
    [
      'blockShape is [-2, 1]',
      () =>
        tf.spaceToBatchND(
          image(),
          [-2, 1],
          [
            [0, 0],
            [0, 0],
          ],
        ),
    ],
    ['reps is [-1]', () => tf.tile(vector(), [-1])],
    ['reps is [1.5]', () => tf.tile(vector(), [1.5])],
    ['perm is [1, 0.5]', () => tf.transpose(tf.ones([25, 2]), [1, 0.5])],
    ['perm is [0.5, 1]', () => tf.transpose(tf.ones([25, 2]), [0.5, 1])],
    ['perm is [0]', () => list('Transpose', tf.ones([25, 1]), {perm: [0]})],
    ['perm is [0, 0]', () => tf.transpose(tf.ones([25, 2]), [0, 0])],
    ['perm is [-1, 0]', () => list('Transpose', tf.ones([25, 2]), {perm: [-1, 0]})],
    ['axis is [3, 3]', () => tf.max(large(), [3, 3])],
    ['axis is [0, -4, 1]', () => tf.sum(large(), [0, -4, 1], true)],
  ])('what tfjs would take for sizes is refused: %s', (text, call) => {
    const escaped = text.replace(/[[\].]/g, '\\$&');
    expectRefusal(
      call,
      new RegExp(`im2win: .*: ${escaped}; allowed: whole numbers that fit the shape \\[[0-9,]+\\]\\.`),
    );
  });

  it('a slice that reads on behind its input is the error of the cpu backend', () => {
    expectRefusal(() => tf.slice(vector(), [3], [10]), /begin\[0\] \+ size\[0\] \(13\) would overflow/);
    expectRefusal(() => tf.slice(image(), [0, 5], [1, 3]), /begin\[1\] \+ size\[1\] \(8\) would overflow/);
  });

  it.each([10, 5000])('%d booleans are not read or written as floats', (count) => {
    const bools = () => tf.ones([count, 1], 'bool');
    const one = () => tf.tensor1d([1]);
    for (const call of [tf.exp, tf.reciprocal, tf.selu, tf.leakyRelu]) {
      expectRefusal(() => call(bools()), /im2win: .*: x has dtype bool; allowed: float32/);
    }
    expectRefusal(() => tf.batchNorm(bools(), one(), one()), /x has dtype bool; allowed: float32/);
    expectRefusal(
      () => tf.batchNorm(tf.ones([count, 1]), one(), tf.ones([1], 'bool')),
      /variance has dtype bool/,
    );
    expectRefusal(
      () => tf.where(bools(), bools(), tf.ones([count, 1])),
      /e has dtype float32; allowed: bool/,
    );
    expectRefusal(
      () => tf.where(bools(), tf.ones([count, 1]), bools()),
      /e has dtype bool; allowed: float32/,
    );
  });

  it('booleans are not selected by shapes that differ', () => {
    const inputs = {condition: tf.ones([3], 'bool'), t: tf.ones([3], 'bool'), e: tf.ones([3, 2], 'bool')};
    expectRefusal(() => tf.engine().runKernel('Select', inputs), /allowed: one shape for all/);
    tf.dispose(inputs);
  });

  it('tf.prelu refuses slopes that tfjs would misread', () => {
    expectRefusal(() => tf.prelu(tf.ones([4, 3]), tf.tensor1d([1, 2, 3], 'int32')), /alpha has dtype int32/);
    expectRefusal(() => tf.prelu(tf.ones([3], 'int32'), tf.ones([5000, 3])), /alpha has shape \[5000,3\]/);
  });
});
