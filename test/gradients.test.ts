// The gradient kernels of the wasm backend, against the definition in reference.ts.
import '@tensorflow/tfjs-layers'; // Registers tfjs's own gradients.
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {checkGradients} from './gradientCheck.ts';
import {type ConvCase, convCase, floats, freshBackend, freshWasm, tf} from './tf.ts';

const sides = [1, 2, 3, 5];

const GEOMETRIES: Record<string, ConvCase[]> = {
  filters: [1, 2, 3, 4, 5, 7].flatMap((height) =>
    [1, 2, 3, 5].map((width) => convCase([2, 9, 11, 3], [height, width, 3, 5], {pad: 'same'})),
  ),
  strides: sides.flatMap((height) =>
    sides.flatMap((width) => [
      convCase([1, 11, 13, 4], [3, 3, 4, 6], {strides: [height, width], pad: 'same'}),
      convCase([1, 11, 13, 4], [2, 4, 4, 6], {strides: [height, width]}),
    ]),
  ),
  'input channels': [1, 2, 3, 4, 5, 6, 7, 12, 13, 21].map((channels) =>
    convCase([1, 6, 7, channels], [3, 3, channels, 9], {strides: [2, 1], pad: 'same'}),
  ),
  'output channels': [1, 2, 3, 4, 5, 7, 8, 11, 12, 15, 17].map((channels) =>
    convCase([1, 6, 7, 5], [3, 3, 5, channels], {pad: 'same'}),
  ),
  padding: [-2, -1, 0, 1, 3, 5].flatMap((before) =>
    [-1, 0, 2].flatMap((after) =>
      [1, 2].map((stride) =>
        convCase([1, 8, 9, 3], [3, 3, 3, 4], {
          strides: [stride, 1],
          pad: [
            [0, 0],
            [before, after],
            [after, before],
            [0, 0],
          ],
        }),
      ),
    ),
  ),
  // Phases along the width that are computed together.
  'strides as wide as the filter': [
    convCase([2, 8, 12, 3], [2, 2, 3, 5], {strides: [2, 2]}),
    convCase([1, 9, 12, 5], [3, 3, 5, 4], {strides: [3, 3], pad: 'same'}),
    convCase([1, 9, 12, 1], [2, 4, 1, 7], {strides: [1, 2]}),
    convCase([1, 8, 12, 2], [2, 3, 2, 9], {strides: [2, 3]}),
  ],
  // Read where they lie: little work, few pixels, and one output channel whose taps do not overlap.
  'little work': [1, 2, 3, 4, 5, 7].flatMap((inChannels) =>
    [1, 2, 3, 4, 5, 6, 9].map((outChannels) =>
      convCase([1, 5, 4, inChannels], [3, 2, inChannels, outChannels], {strides: [2, 1], pad: 'same'}),
    ),
  ),
  'few pixels': [1, 2, 6].flatMap((inChannels) =>
    [1, 3, 32, 67].flatMap((outChannels) => [
      convCase([1, 9, 11, inChannels], [9, 8, inChannels, outChannels], {strides: [8, 7], pad: 'same'}),
      convCase([2, 24, 20, inChannels], [20, 20, inChannels, outChannels], {strides: [19, 18]}),
    ]),
  ),
  'one output channel, apart': [1, 2, 5].flatMap((inChannels) => [
    convCase([2, 33, 35, inChannels], [3, 4, inChannels, 1], {strides: [3, 4], pad: 'same'}),
    convCase([1, 40, 39, inChannels], [4, 3, inChannels, 1], {strides: [7, 5]}),
    convCase([1, 800, 1, inChannels], [131, 1, inChannels, 1], {strides: [131, 1], pad: 'same'}),
    convCase([2, 13, 400, inChannels], [5, 129, inChannels, 1], {strides: [6, 130], pad: 'same'}),
    convCase([1, 11, 410, inChannels], [4, 130, inChannels, 1], {strides: [4, 133]}),
    ...[-3, 5].flatMap((before) =>
      [-2, 4].map((after) =>
        convCase([1, 13, 400, inChannels], [6, 128, inChannels, 1], {
          strides: [6, 129],
          pad: [
            [0, 0],
            [before, after],
            [after, before],
            [0, 0],
          ],
        }),
      ),
    ),
  ]),
  'empty outputs': [
    convCase([1, 8, 2, 3], [1, 3, 3, 4]),
    convCase([1, 2, 8, 3], [3, 1, 3, 4]),
    convCase([0, 8, 8, 3], [3, 3, 3, 4]),
  ],
  'several blocks': [
    convCase([2, 40, 33, 6], [3, 3, 6, 8], {pad: 'same'}),
    convCase([1, 70, 5, 6], [5, 3, 6, 8], {strides: [2, 1], pad: 'same'}),
    convCase([3, 24, 24, 32], [3, 3, 32, 16], {pad: 'same'}),
  ],
};

describe.each([
  ['wasm', 'strict'],
  ['wasm', 'relaxed'],
  ['cpu', 'auto'],
] as const)('%s, %s', (backend, simd) => {
  beforeAll(async () => {
    await freshBackend(backend);
    await registerIm2win({simd, backends: [backend]});
  });
  afterAll(async () => (await registerIm2win()).unregister());

  for (const [name, problems] of Object.entries(GEOMETRIES)) {
    test(name, () => {
      for (const problem of problems) checkGradients(problem, false, true);
    });
    if (backend === 'cpu') continue; // Its depthwise gradients are tfjs's own.
    test(`depthwise, ${name}`, () => {
      for (const problem of problems) {
        checkGradients({...problem, filterShape: [...problem.filterShape.slice(0, 3), 1] as never}, true);
      }
      const [first] = problems;
      checkGradients({...first, filterShape: [...first.filterShape.slice(0, 3), 3] as never}, true);
    });
  }
});

test('on cpu they are ours, in both layouts', async () => {
  await freshBackend('cpu');
  const registration = await registerIm2win({backends: ['cpu']});
  checkGradients(convCase([2, 6, 7, 3], [3, 3, 3, 5], {strides: [2, 1], pad: 'same'}), false, true);
  expect(registration.report().map(({algorithm}) => algorithm)).toEqual([
    'transposed',
    'gradient',
    'gradient',
    'transposed',
  ]);
  registration.unregister();
});

describe('as tfjs calls them', () => {
  let registration: Im2winRegistration;
  beforeAll(async () => {
    await freshWasm();
    registration = await registerIm2win({backends: ['wasm']});
  });
  afterAll(() => registration.unregister());

  test('a transposed convolution', () => {
    const x = tf.tensor4d(floats(3 * 4 * 5, 1), [1, 3, 4, 5]);
    const filter = tf.tensor4d(floats(3 * 3 * 2 * 5, 2), [3, 3, 2, 5]);
    const output = tf.conv2dTranspose(x, filter, [1, 6, 8, 2], 2, 'same');
    expect(output.shape).toEqual([1, 6, 8, 2]);
    expect(registration.report().at(-1)).toMatchObject({
      kernelName: 'Conv2DBackpropInput',
      algorithm: 'transposed',
      xShape: [1, 6, 8, 2],
      filterShape: [3, 3, 2, 5],
    });
    expect(registration.memory().filterBytes).toBe(0);
  });

  test('a transposed convolution whose sizes do not fit is an error, and no fallback', () => {
    const transposed = (x: number[], outputShape: [number, number, number, number]) =>
      tf.conv2dTranspose(
        tf.ones<tf.Rank.R4>(x as [number, number, number, number]),
        tf.ones([1, 1, 1, 1]),
        outputShape,
        1,
        'valid',
      );
    expect(() => transposed([1, 2, 2, 1], [1, 40, 40, 1])).toThrow(
      "has shape [1,2,2,1]; allowed: the shape of the convolution's output, [1,40,40,1]",
    );
    expect(() => transposed([1, 2, 2, 1], [3, 2, 2, 1])).toThrow('has shape [1,2,2,1]');
  });

  test('gradients, which stock wasm has not', () => {
    const x = tf.tensor4d(floats(6 * 6 * 4, 1), [1, 6, 6, 4]);
    const full = tf.grads((a: tf.Tensor, f: tf.Tensor) =>
      tf.conv2d(a as tf.Tensor4D, f as tf.Tensor4D, 2, 'same'),
    )([x, tf.tensor4d(floats(72, 2), [3, 3, 4, 2])], tf.ones([1, 3, 3, 2]));
    expect(full.map(({shape}) => shape)).toEqual([
      [1, 6, 6, 4],
      [3, 3, 4, 2],
    ]);
    const depthwise = tf.grads((a: tf.Tensor, f: tf.Tensor) =>
      tf.depthwiseConv2d(a as tf.Tensor4D, f as tf.Tensor4D, 1, 'same'),
    )([x, tf.tensor4d(floats(72, 2), [3, 3, 4, 2])], tf.ones([1, 6, 6, 8]));
    expect(depthwise.map(({shape}) => shape)).toEqual([
      [1, 6, 6, 4],
      [3, 3, 4, 2],
    ]);
  });

  test('without a stock kernel to fall back to, stock is not an answer', () => {
    const x = tf.ones<tf.Rank.R4>([1, 4, 4, 1]);
    registration.setAlgorithm('stock');
    const attributes = {strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [1, 1, 1, 1]};
    const run = (inputs: object, more: object = {}) =>
      tf
        .engine()
        .runKernel(
          'Conv2DBackpropFilter',
          inputs as tf.NamedTensorMap,
          {...attributes, ...more} as unknown as tf.NamedAttrMap,
        ) as tf.Tensor;
    expect(run({x, dy: x}).dataSync()[0]).toBe(16);
    registration.setAlgorithm('auto');
    expect(() => run({x, dy: tf.ones([1, 3, 4, 1])})).toThrow(
      "dy (the input of a transposed convolution) has shape [1,3,4,1]; allowed: the shape of the convolution's output, [1,4,4,1]",
    );
    expect(() => run({x})).toThrow('dy is undefined; allowed: a tensor');
  });
});
