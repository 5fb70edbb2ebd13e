import {
  Conv2D,
  Conv2DBackpropFilter,
  Conv2DBackpropInput,
  DepthwiseConv2dNative,
  DepthwiseConv2dNativeBackpropFilter,
  DepthwiseConv2dNativeBackpropInput,
  FusedConv2D,
  FusedDepthwiseConv2D,
} from '@tensorflow/tfjs-core';
import type {Kernel} from './family.ts';

/** The kernels that this package adds to a backend. */
export const IM2WIN_CONV_2D = 'Im2winConv2D';
export const IM2WIN_DEPTHWISE_CONV_2D = 'Im2winDepthwiseConv2D';

export interface ConvKernel extends Kernel {
  readonly depthwise: boolean;
  /** It has a bias and an activation. tfjs's other kernels ignore these. */
  readonly fused?: true;
  /** What it computes: the convolution, or its gradient with respect to an input. */
  readonly computes: 'output' | 'inputGradient' | 'filterGradient';
  /** It is this package's own, and never left to tfjs. It has activations that tfjs has not, and a residual. */
  readonly own?: true;
}

const OWN = {fused: true, computes: 'output', own: true, added: true} as const;

export const OWN_KERNELS: readonly ConvKernel[] = [
  {...OWN, name: IM2WIN_CONV_2D, op: 'im2winConv2d', depthwise: false},
  {...OWN, name: IM2WIN_DEPTHWISE_CONV_2D, op: IM2WIN_DEPTHWISE_CONV_2D, depthwise: true},
];

/** tfjs's kernels. Gradients are added where tfjs has none. */
export const CONV_KERNELS: readonly ConvKernel[] = [
  {name: Conv2D, op: 'tf.conv2d', depthwise: false, computes: 'output'},
  {
    name: FusedConv2D,
    op: 'tf.fused.conv2d',
    depthwise: false,
    fused: true,
    computes: 'output',
  },
  {
    name: DepthwiseConv2dNative,
    op: 'tf.depthwiseConv2d',
    depthwise: true,
    computes: 'output',
  },
  {
    name: FusedDepthwiseConv2D,
    op: 'tf.fused.depthwiseConv2d',
    depthwise: true,
    fused: true,
    computes: 'output',
  },
  {
    name: Conv2DBackpropInput,
    op: 'tf.conv2dTranspose',
    depthwise: false,
    computes: 'inputGradient',
    added: true,
  },
  {
    name: Conv2DBackpropFilter,
    op: 'the gradient of tf.conv2d',
    depthwise: false,
    computes: 'filterGradient',
    added: true,
  },
  {
    name: DepthwiseConv2dNativeBackpropInput,
    op: 'the gradient of tf.depthwiseConv2d',
    depthwise: true,
    computes: 'inputGradient',
    added: true,
  },
  {
    name: DepthwiseConv2dNativeBackpropFilter,
    op: 'the gradient of tf.depthwiseConv2d',
    depthwise: true,
    computes: 'filterGradient',
    added: true,
  },
];
