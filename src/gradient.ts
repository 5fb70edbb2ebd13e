import {
  backend_util,
  broadcast_util,
  Conv2DBackpropFilter,
  Conv2DBackpropInput,
  DepthwiseConv2dNativeBackpropFilter,
  DepthwiseConv2dNativeBackpropInput,
  engine,
  type GradConfig,
  mul,
  type NamedAttrMap,
  reshape,
  step,
  sum,
  type Tensor,
  type Tensor4D,
  util,
} from '@tensorflow/tfjs-core';
import {type ConvKernel, OWN_KERNELS} from './convKernels.ts';
import type {FusedConvAttributes} from './convolution.ts';

interface GradientAttributes extends FusedConvAttributes {
  readonly biasShape?: number[];
}

/** The gradients of this package's own kernels. */
export const OWN_GRADIENTS: readonly GradConfig[] = OWN_KERNELS.map(gradientOf);

/**
 * The gradient of such a kernel with respect to `x`, `filter`, `bias` and `residual`, by
 * tfjs's own gradient kernels; through a fused relu, as tfjs's fused op has it.
 *
 * tfjs cannot save an input that may be missing, so the bias' shape is the
 * attribute `biasShape`, and `[outChannels]` without it.
 */
function gradientOf({name, op, depthwise}: ConvKernel): GradConfig {
  return {
    kernelName: name,
    inputsToSave: ['x', 'filter'],
    outputsToSave: [true],
    gradFunc(dy, saved, attributes) {
      const [x, filter, output] = saved as Tensor4D[];
      const {strides, pad, dimRoundingMode, ...rest} = attributes as unknown as GradientAttributes;
      const {
        dataFormat = 'NHWC',
        dilations = 1,
        activation = 'linear',
        residualAfterActivation = false,
        biasShape = [(depthwise ? filter.shape[2] : 1) * filter.shape[3]],
      } = rest;
      const check = (holds: boolean, message: string) =>
        util.assert(holds, () => `Error in gradient of ${op}: ${message}`);
      check(
        backend_util.tupleValuesAreOne(dilations),
        `dilation rates greater than 1 are not supported in gradients. Got dilations '${dilations}'.`,
      );
      // tfjs's gradient kernels of a depthwise convolution take no notice of the format.
      check(!depthwise || dataFormat === 'NHWC', `dataFormat is '${dataFormat}'; allowed: 'NHWC'.`);
      // The sign of what the activation made is lost.
      check(
        activation === 'linear' || !residualAfterActivation,
        `residualAfterActivation is true; allowed: false, with the activation '${activation}'.`,
      );
      const dySum = throughActivation(dy as Tensor, output, activation);
      const run = (kernelName: string, inputs: Record<string, Tensor>, shapes: object): Tensor =>
        engine().runKernel(kernelName, inputs, {
          strides,
          pad,
          dataFormat,
          dilations,
          dimRoundingMode,
          ...shapes,
        } as unknown as NamedAttrMap) as Tensor;
      return {
        x: () =>
          run(
            depthwise ? DepthwiseConv2dNativeBackpropInput : Conv2DBackpropInput,
            {dy: dySum, filter},
            {inputShape: x.shape},
          ),
        filter: () =>
          run(
            depthwise ? DepthwiseConv2dNativeBackpropFilter : Conv2DBackpropFilter,
            {x, dy: dySum},
            {filterShape: filter.shape},
          ),
        // Without a bias or a residual nobody asks for its gradient.
        bias: () => {
          const broadcast =
            dataFormat === 'NCHW' && biasShape.length === 1 ? [biasShape[0], 1, 1] : biasShape;
          const axes = broadcast_util.getReductionAxes(broadcast, dySum.shape);
          return reshape(axes.length > 0 ? sum(dySum, axes) : dySum, biasShape);
        },
        residual: () => dySum,
      };
    },
  };
}

function throughActivation(dy: Tensor, output: Tensor, activation: string): Tensor {
  if (activation === 'linear') return dy;
  if (activation === 'relu') return mul(dy, step(output));
  throw new Error(`Cannot compute gradient for fused activation ${activation}.`);
}
