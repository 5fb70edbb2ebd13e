// What a layer is, and the twelve of the paper. Nothing here needs Node.

// What is measured under which name.
export const KERNELS = {
  Conv2D: 'corpus',
  FusedConv2D: 'corpus',
  DepthwiseConv2dNative: 'depthwise',
  FusedDepthwiseConv2D: 'depthwise',
  Conv2DBackpropInput: 'transposed',
} as const;

export interface Layer {
  readonly name: string;
  readonly kernelName: keyof typeof KERNELS;
  /** NHWC. */
  readonly xShape: readonly [number, number, number, number];
  /** [height, width, inChannels, outChannels]; the last of a depthwise one is the channel multiplier. */
  readonly filterShape: readonly [number, number, number, number];
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pad: 'same' | 'valid';
  readonly activation: string;
  readonly bias: boolean;
  /** Of a transposed convolution, whose x is what tfjs calls dy. */
  readonly inputShape?: readonly number[];
}

export const isDepthwise = ({kernelName}: Layer) => KERNELS[kernelName] === 'depthwise';

// [inChannels, height = width, outChannels, filter, stride], VALID, batch 1: Lu, Chu and Liu, HPEC 2022.
const PAPER = [
  [3, 227, 96, 11, 4],
  [3, 231, 96, 11, 4],
  [3, 227, 64, 7, 2],
  [64, 224, 64, 7, 2],
  [96, 24, 256, 5, 1],
  [256, 12, 512, 3, 1],
  [3, 224, 64, 3, 1],
  [64, 112, 128, 3, 1],
  [64, 56, 64, 3, 1],
  [128, 28, 128, 3, 1],
  [256, 14, 256, 3, 1],
  [512, 7, 512, 3, 1],
];

/** The twelve layers of the im2win paper. */
export const PAPER_LAYERS: readonly Layer[] = PAPER.map(
  ([inChannels, size, outChannels, filter, stride], i) => ({
    name: `${i + 1}: ${inChannels}×${size}² ${filter}×${filter}/${stride} → ${outChannels}`,
    kernelName: 'Conv2D',
    xShape: [1, size, size, inChannels],
    filterShape: [filter, filter, inChannels, outChannels],
    strides: [stride, stride],
    dilations: [1, 1],
    pad: 'valid',
    activation: 'linear',
    bias: false,
  }),
);
