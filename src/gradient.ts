import {
  backend_util,
  broadcast_util,
  Conv2DBackpropFilter,
  Conv2DBackpropInput,
  engine,
  type GradConfig,
  mul,
  type NamedAttrMap,
  reshape,
  step,
  sum,
  type Tensor,
  util,
} from '@tensorflow/tfjs-core';
import {IM2WIN_CONV_2D} from './convKernels.ts';
import type {FusedConvAttributes} from './convolution.ts';

interface GradientAttributes extends FusedConvAttributes {
  readonly biasShape?: number[];
}

/**
 * The gradient of `Im2winConv2D` with respect to `x`, `filter` and `bias`, by
 * tfjs's own gradient kernels; through a fused relu, as tfjs's fused op has it.
 *
 * tfjs cannot save an input that may be missing, so the bias' shape is the
 * attribute `biasShape`, and `[outChannels]` without it.
 */
export const im2winGradient: GradConfig = {
  kernelName: IM2WIN_CONV_2D,
  inputsToSave: ['x', 'filter'],
  outputsToSave: [true],
  gradFunc(dy, saved, attributes) {
    const [x, filter, output] = saved;
    const {strides, pad, dimRoundingMode, ...rest} = attributes as unknown as GradientAttributes;
    const {
      dataFormat = 'NHWC',
      dilations = 1,
      activation = 'linear',
      biasShape = [filter.shape[3] as number],
    } = rest;
    util.assert(
      backend_util.tupleValuesAreOne(dilations),
      () =>
        'Error in gradient of im2winConv2d: dilation rates greater than 1 are not supported in gradients. ' +
        `Got dilations '${dilations}'.`,
    );
    const dySum = throughActivation(dy as Tensor, output, activation);
    const run = (kernelName: string, inputs: Record<string, Tensor>, shapes: object): Tensor =>
      engine().runKernel(kernelName, inputs, {
        strides,
        pad,
        dataFormat,
        dimRoundingMode,
        ...shapes,
      } as unknown as NamedAttrMap) as Tensor;
    return {
      x: () => run(Conv2DBackpropInput, {dy: dySum, filter}, {inputShape: x.shape}),
      filter: () => run(Conv2DBackpropFilter, {x, dy: dySum}, {filterShape: filter.shape}),
      // Without a bias nobody asks for its gradient.
      bias: () => {
        const broadcast = dataFormat === 'NCHW' && biasShape.length === 1 ? [biasShape[0], 1, 1] : biasShape;
        const axes = broadcast_util.getReductionAxes(broadcast, dySum.shape);
        return reshape(axes.length > 0 ? sum(dySum, axes) : dySum, biasShape);
      },
    };
  },
};

function throughActivation(dy: Tensor, output: Tensor, activation: string): Tensor {
  if (activation === 'linear') return dy;
  if (activation === 'relu') return mul(dy, step(output));
  throw new Error(`Cannot compute gradient for fused activation ${activation}.`);
}
