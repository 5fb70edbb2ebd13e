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

/** A tfjs backend that im2win can serve. */
export type Im2winBackend = 'wasm' | 'cpu';

/** The kernel that this package adds to a backend. */
export const IM2WIN_CONV_2D = 'Im2winConv2D';

/** A kernel of tfjs's that is ours to compute. */
export interface ConvKernel {
  readonly name: string;
  /** What a user calls, for errors. */
  readonly op: string;
  readonly depthwise: boolean;
  /** Bias and activation belong to it; tfjs's other kernels take no notice of them. */
  readonly fused?: true;
  /** What it computes: the convolution, or its gradient with respect to an input. */
  readonly computes: 'output' | 'inputGradient' | 'filterGradient';
  readonly backends: readonly Im2winBackend[];
}

const BOTH = ['wasm', 'cpu'] as const;
const WASM = ['wasm'] as const;

export const OWN_KERNEL: ConvKernel = {
  name: IM2WIN_CONV_2D,
  op: 'im2winConv2d',
  depthwise: false,
  fused: true,
  computes: 'output',
  backends: BOTH,
};

/** Rerouted where tfjs has them, added where it has not. */
export const CONV_KERNELS: readonly ConvKernel[] = [
  {name: Conv2D, op: 'tf.conv2d', depthwise: false, computes: 'output', backends: BOTH},
  {
    name: FusedConv2D,
    op: 'tf.fused.conv2d',
    depthwise: false,
    fused: true,
    computes: 'output',
    backends: BOTH,
  },
  {
    name: DepthwiseConv2dNative,
    op: 'tf.depthwiseConv2d',
    depthwise: true,
    computes: 'output',
    backends: BOTH,
  },
  {
    name: FusedDepthwiseConv2D,
    op: 'tf.fused.depthwiseConv2d',
    depthwise: true,
    fused: true,
    computes: 'output',
    backends: BOTH,
  },
  {
    name: Conv2DBackpropInput,
    op: 'tf.conv2dTranspose',
    depthwise: false,
    computes: 'inputGradient',
    backends: BOTH,
  },
  {
    name: Conv2DBackpropFilter,
    op: 'the gradient of tf.conv2d',
    depthwise: false,
    computes: 'filterGradient',
    backends: BOTH,
  },
  {
    name: DepthwiseConv2dNativeBackpropInput,
    op: 'the gradient of tf.depthwiseConv2d',
    depthwise: true,
    computes: 'inputGradient',
    backends: WASM,
  },
  {
    name: DepthwiseConv2dNativeBackpropFilter,
    op: 'the gradient of tf.depthwiseConv2d',
    depthwise: true,
    computes: 'filterGradient',
    backends: WASM,
  },
];
