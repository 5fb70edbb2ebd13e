// The gradient kernels of the wasm backend, against the definition: each product of
// the convolution, handed back to what it was made from.
import '@tensorflow/tfjs-layers'; // Registers tfjs's own gradients.
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {sumError, winogradGrowth} from './reference.ts';
import {type ConvCase, convCase, floats, freshWasm, size, tf} from './tf.ts';

interface Gradients {
  readonly x: Float64Array;
  readonly filter: Float64Array;
  /** Sums of absolute products, and the most products in a sum. */
  readonly xMagnitudes: Float64Array;
  readonly filterMagnitudes: Float64Array;
}

/** @param multiplier Of a depthwise convolution, whose filter is [height, width, inChannels, multiplier]. */
function gradients(
  problem: ConvCase,
  x: Float32Array,
  filter: Float32Array,
  dy: Float32Array,
  multiplier?: number,
): Gradients {
  const [batch, inHeight, inWidth, inChannels] = problem.xShape;
  const [filterHeight, filterWidth, , last] = problem.filterShape;
  const outChannels = multiplier === undefined ? last : inChannels * multiplier;
  const {outHeight, outWidth, strides, dilations, padding} = problem;
  const result = {
    x: new Float64Array(x.length),
    filter: new Float64Array(filter.length),
    xMagnitudes: new Float64Array(x.length),
    filterMagnitudes: new Float64Array(filter.length),
  };
  for (let b = 0; b < batch; ++b) {
    for (let oh = 0; oh < outHeight; ++oh) {
      for (let ow = 0; ow < outWidth; ++ow) {
        for (let kh = 0; kh < filterHeight; ++kh) {
          const ih = oh * strides[0] - padding[0] + kh * dilations[0];
          if (ih < 0 || ih >= inHeight) continue;
          for (let kw = 0; kw < filterWidth; ++kw) {
            const iw = ow * strides[1] - padding[1] + kw * dilations[1];
            if (iw < 0 || iw >= inWidth) continue;
            for (let ci = 0; ci < inChannels; ++ci) {
              const xAt = ((b * inHeight + ih) * inWidth + iw) * inChannels + ci;
              const [from, to] =
                multiplier === undefined ? [0, outChannels] : [ci * multiplier, (ci + 1) * multiplier];
              for (let co = from; co < to; ++co) {
                const filterAt =
                  multiplier === undefined
                    ? ((kh * filterWidth + kw) * inChannels + ci) * outChannels + co
                    : (kh * filterWidth + kw) * outChannels + co;
                const g = dy[((b * outHeight + oh) * outWidth + ow) * outChannels + co];
                result.x[xAt] += g * filter[filterAt];
                result.xMagnitudes[xAt] += Math.abs(g * filter[filterAt]);
                result.filter[filterAt] += g * x[xAt];
                result.filterMagnitudes[filterAt] += Math.abs(g * x[xAt]);
              }
            }
          }
        }
      }
    }
  }
  return result;
}

function expectNear(
  name: string,
  actual: tf.TypedArray,
  expected: Float64Array,
  allowed: (i: number) => number,
) {
  expected.forEach((value, i) => {
    if (!(Math.abs(actual[i] - value) <= allowed(i) + 1e-37)) {
      throw new Error(`${name}: value ${i} is ${actual[i]}, not ${value} ± ${allowed(i)}`);
    }
  });
}

function check(problem: ConvCase, depthwise: boolean, planar = false): void {
  const {xShape, filterShape, strides, dilations, pad, dimRoundingMode, outHeight, outWidth} = problem;
  const multiplier = depthwise ? filterShape[3] : undefined;
  const outChannels = depthwise ? xShape[3] * filterShape[3] : filterShape[3];
  const dyShape = [xShape[0], outHeight, outWidth, outChannels];
  const [x, filter, dy] = [floats(size(xShape), 1), floats(size(filterShape), 2), floats(size(dyShape), 3)];
  const expected = gradients(problem, x, filter, dy, multiplier);
  const name = `${depthwise ? 'depthwise ' : ''}${problem.name}`;
  const run = (kernel: string, inputs: object, attributes: object) =>
    tf.engine().runKernel(
      kernel,
      inputs as tf.NamedTensorMap,
      {
        strides,
        pad,
        dimRoundingMode,
        ...(depthwise ? {dilations} : {dataFormat: 'NHWC'}),
        ...attributes,
      } as unknown as tf.NamedAttrMap,
    ) as tf.Tensor;
  tf.tidy(() => {
    const tensors = {
      x: tf.tensor(x, [...xShape]),
      filter: tf.tensor(filter, [...filterShape]),
      dy: tf.tensor(dy, dyShape),
    };
    const prefix = depthwise ? 'DepthwiseConv2dNativeBackprop' : 'Conv2DBackprop';
    const dx = run(`${prefix}Input`, {dy: tensors.dy, filter: tensors.filter}, {inputShape: xShape});
    expect(dx.shape).toEqual(xShape);
    const terms = filterShape[0] * filterShape[1] * outChannels + 2;
    // A phase may be computed by Winograd: no dy and no filter value is larger than 1.
    const taps = Math.ceil(filterShape[1] / strides[1]);
    const tileError =
      depthwise || taps < 2 || taps > 7 ? 0 : winogradGrowth(taps) * sumError(terms + 24, terms);
    expectNear(
      `${name}, x`,
      dx.dataSync(),
      expected.x,
      (i) => sumError(terms, expected.xMagnitudes[i]) + tileError,
    );
    const dw = run(`${prefix}Filter`, {x: tensors.x, dy: tensors.dy}, {filterShape});
    expect(dw.shape).toEqual(filterShape);
    const pixels = xShape[0] * outHeight * outWidth + 2;
    const allowed = (i: number) => sumError(pixels, expected.filterMagnitudes[i]);
    expectNear(`${name}, filter`, dw.dataSync(), expected.filter, allowed);
    if (!planar || tensors.x.size * tensors.dy.size === 0) return;
    const [xPlanes, dyPlanes] = [tensors.x, tensors.dy].map((t) => tf.transpose(t, [0, 3, 1, 2]));
    const pads = Array.isArray(pad) ? [pad[0], pad[3], pad[1], pad[2]] : pad;
    const fromPlanes = run(
      'Conv2DBackpropFilter',
      {x: xPlanes, dy: dyPlanes},
      {filterShape, pad: pads, dataFormat: 'NCHW'},
    );
    expectNear(`${name}, filter, NCHW`, fromPlanes.dataSync(), expected.filter, allowed);
  });
}

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
  'several blocks': [
    convCase([2, 40, 33, 6], [3, 3, 6, 8], {pad: 'same'}),
    convCase([1, 70, 5, 6], [5, 3, 6, 8], {strides: [2, 1], pad: 'same'}),
    convCase([3, 24, 24, 32], [3, 3, 32, 16], {pad: 'same'}),
  ],
};

describe.each(['strict', 'relaxed'] as const)('%s', (simd) => {
  beforeAll(async () => {
    await freshWasm();
    await registerIm2win({simd, backends: ['wasm']});
  });
  afterAll(async () => (await registerIm2win()).unregister());

  for (const [name, problems] of Object.entries(GEOMETRIES)) {
    test(name, () => {
      for (const problem of problems) check(problem, false, true);
    });
    test(`depthwise, ${name}`, () => {
      for (const problem of problems) {
        check({...problem, filterShape: [...problem.filterShape.slice(0, 3), 1] as never}, true);
      }
      const [first] = problems;
      check({...first, filterShape: [...first.filterShape.slice(0, 3), 3] as never}, true);
    });
  }
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
      '(dy has shape [1,3,4,1], and the output [1,4,4,1])',
    );
    expect(() => run({x})).toThrow('dy is undefined; allowed: a tensor');
  });
});
