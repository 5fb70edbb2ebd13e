// Checks a convolution's gradients against the definition in reference.ts.
import {gradients, mostWinogradGrowth, sumError} from './reference.ts';
import {type ConvCase, floats, size, tf} from './tf.ts';

function expectShape(tensor: tf.Tensor, shape: readonly number[]) {
  if (tensor.shape.join() !== shape.join()) throw new Error(`shape [${tensor.shape}], not [${shape}]`);
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

/**
 * Runs both gradient kernels of a convolution, and compares them value by value.
 *
 * @param depthwise Whether the filter is [height, width, inChannels, multiplier].
 * @param planar Whether the gradients of a full convolution are computed from NCHW as well.
 * @throws Error that names the first value that is off.
 */
export function checkGradients(problem: ConvCase, depthwise: boolean, planar = false): void {
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
    expectShape(dx, xShape);
    const terms = filterShape[0] * filterShape[1] * outChannels + 2;
    // A phase may be computed by Winograd: no dy and no filter value is larger than 1.
    const [rowTaps, taps] = [0, 1].map((axis) => Math.ceil(filterShape[axis] / strides[axis]));
    const tileError = depthwise ? 0 : mostWinogradGrowth(rowTaps, taps) * sumError(terms + 48, terms);
    const allowedX = (i: number) => sumError(terms, expected.xMagnitudes[i]) + tileError;
    expectNear(`${name}, x`, dx.dataSync(), expected.x, allowedX);
    const dw = run(`${prefix}Filter`, {x: tensors.x, dy: tensors.dy}, {filterShape});
    expectShape(dw, filterShape);
    const pixels = xShape[0] * outHeight * outWidth + 2;
    const allowed = (i: number) => sumError(pixels, expected.filterMagnitudes[i]);
    expectNear(`${name}, filter`, dw.dataSync(), expected.filter, allowed);
    if (!planar || tensors.x.size * tensors.dy.size === 0) return;
    const [xPlanes, dyPlanes] = [tensors.x, tensors.dy].map((t) => tf.transpose(t, [0, 3, 1, 2]));
    const planes = {
      dataFormat: 'NCHW',
      pad: Array.isArray(pad) ? [pad[0], pad[3], pad[1], pad[2]] : pad,
    };
    const dwOfPlanes = run('Conv2DBackpropFilter', {x: xPlanes, dy: dyPlanes}, {filterShape, ...planes});
    expectNear(`${name}, filter, NCHW`, dwOfPlanes.dataSync(), expected.filter, allowed);
    const dxPlanes = run(
      'Conv2DBackpropInput',
      {dy: dyPlanes, filter: tensors.filter},
      {inputShape: xPlanes.shape, ...planes},
    );
    expectShape(dxPlanes, xPlanes.shape);
    expectNear(`${name}, x, NCHW`, tf.transpose(dxPlanes, [0, 2, 3, 1]).dataSync(), expected.x, allowedX);
  });
}
