// Each pattern where it fits, and where it must not: what is left of the kernels, and the same values.
import {type Im2winRegistration, registerIm2win} from '../../src/index.ts';
import {freshBackend, tf} from '../tf.ts';
import {positive, random, rewritten} from './rewriting.ts';

type Case = readonly [
  name: string,
  shape: readonly number[],
  model: (x: tf.Tensor4D) => tf.Tensor | tf.Tensor[],
  kernels: readonly string[],
];

const filter = () => random([3, 3, 4, 6], 2) as tf.Tensor4D;
const depthwiseFilter = () => random([3, 3, 4, 2], 3) as tf.Tensor4D;
const pointFilter = () => random([1, 1, 4, 6], 2) as tf.Tensor4D;
const conv = (x: tf.Tensor, pad: 'same' | 'valid' = 'same') =>
  tf.conv2d(x as tf.Tensor4D, WEIGHTS.filter, 1, pad);
const batchNorm = (x: tf.Tensor, channels = x.shape[3] as number) =>
  tf.batchNorm(
    x,
    WEIGHTS.mean[channels],
    WEIGHTS.variance[channels],
    WEIGHTS.offset[channels],
    WEIGHTS.scale[channels],
  );

let WEIGHTS: {
  filter: tf.Tensor4D;
  depthwise: tf.Tensor4D;
  point: tf.Tensor4D;
  transposed: tf.Tensor4D;
  dense: tf.Tensor3D;
  mean: Record<number, tf.Tensor1D>;
  variance: Record<number, tf.Tensor1D>;
  offset: Record<number, tf.Tensor1D>;
  scale: Record<number, tf.Tensor1D>;
};

function makeWeights() {
  const each = (make: (channels: number) => tf.Tensor) =>
    Object.fromEntries([3, 4, 5, 6, 8].map((channels) => [channels, make(channels) as tf.Tensor1D]));
  WEIGHTS = {
    filter: filter(),
    depthwise: depthwiseFilter(),
    point: pointFilter(),
    transposed: random([2, 2, 5, 4], 4) as tf.Tensor4D,
    dense: random([1, 4, 6], 5) as tf.Tensor3D,
    mean: each((channels) => random([channels], 11)),
    variance: each((channels) => positive([channels], 12)),
    offset: each((channels) => random([channels], 13)),
    scale: each((channels) => random([channels], 14)),
  };
}

const SHAPE = [2, 9, 8, 4];

/** What any backend has kernels for. */
const FOLDED: readonly Case[] = [
  ['batch norm behind a convolution', SHAPE, (x) => batchNorm(conv(x)), ['FusedConv2D']],
  ['batch norm and relu', SHAPE, (x) => tf.relu(batchNorm(conv(x))), ['FusedConv2D relu']],
  [
    'batch norm behind a depthwise convolution',
    SHAPE,
    (x) => tf.relu6(batchNorm(tf.depthwiseConv2d(x, WEIGHTS.depthwise, 2, 'same'))),
    ['FusedDepthwiseConv2D relu6'],
  ],
  [
    'batch norm behind a transposed convolution',
    SHAPE,
    (x) => batchNorm(tf.conv2dTranspose(x, WEIGHTS.transposed, [2, 18, 16, 5], 2, 'same')),
    ['Conv2DBackpropInput', 'Add'],
  ],
  [
    'batch norm behind a fused convolution with a bias',
    SHAPE,
    (x) =>
      batchNorm(
        tf.fused.conv2d({x, filter: WEIGHTS.filter, strides: 1, pad: 'valid', bias: WEIGHTS.offset[6]}),
      ),
    ['FusedConv2D'],
  ],
  [
    'a product and a sum, one value a channel',
    SHAPE,
    (x) => tf.add(tf.mul(conv(x), WEIGHTS.scale[6]), tf.reshape(WEIGHTS.offset[6], [1, 1, 1, 6])),
    ['FusedConv2D'],
  ],
  ['a quotient and a difference, of scalars', SHAPE, (x) => tf.sub(tf.div(conv(x), 3), 0.5), ['FusedConv2D']],
  [
    'batch norm before a convolution that pads nothing',
    SHAPE,
    (x) => conv(batchNorm(x), 'valid'),
    ['FusedConv2D'],
  ],
  [
    'batch norm before a depthwise convolution that pads nothing',
    SHAPE,
    (x) => tf.depthwiseConv2d(batchNorm(x) as tf.Tensor4D, WEIGHTS.depthwise, 1, 'valid'),
    ['FusedDepthwiseConv2D'],
  ],
  ['a factor before a convolution that pads', SHAPE, (x) => conv(tf.mul(x, 1 / 255)), ['FusedConv2D']],
  ['a sum before a convolution that pads stays', SHAPE, (x) => conv(tf.sub(x, 0.5)), ['Sub', 'Conv2D']],
  [
    'a sum before a convolution of one pixel',
    SHAPE,
    (x) => tf.conv2d(tf.sub(tf.div(x, 2), WEIGHTS.mean[4]) as tf.Tensor4D, WEIGHTS.point, 1, 'same'),
    ['FusedConv2D'],
  ],
  [
    'batch norm behind a dense layer',
    [1, 7, 4],
    (x) =>
      tf.add(
        tf.mul(tf.fused.matMul({a: x as unknown as tf.Tensor3D, b: WEIGHTS.dense}), WEIGHTS.scale[6]),
        WEIGHTS.offset[6],
      ),
    ['_FusedMatMul'],
  ],
  ['elu', SHAPE, (x) => tf.elu(conv(x)), ['FusedConv2D elu']],
  ['sigmoid', SHAPE, (x) => tf.sigmoid(conv(x)), ['FusedConv2D sigmoid']],
  ['leaky relu', SHAPE, (x) => tf.leakyRelu(conv(x), 0.3), ['FusedConv2D leakyrelu']],
  ['prelu', SHAPE, (x) => tf.prelu(conv(x) as tf.Tensor, WEIGHTS.scale[6]), ['FusedConv2D prelu']],
  [
    'prelu of each pixel stays',
    [1, 3, 2, 4],
    (x) => tf.prelu(conv(x), random([3, 2, 6])),
    ['Conv2D', 'Prelu'],
  ],
  [
    'relu6 as a minimum of a maximum',
    SHAPE,
    (x) => tf.minimum(tf.maximum(conv(x), 0), 6),
    ['FusedConv2D relu6'],
  ],
  ['relu6 as a clip', SHAPE, (x) => tf.clipByValue(conv(x), 0, 6), ['FusedConv2D relu6']],
  ['a second activation stays', SHAPE, (x) => tf.sigmoid(tf.relu(conv(x))), ['FusedConv2D relu', 'Sigmoid']],
  [
    'constants of more dimensions stay',
    SHAPE,
    (x) => {
      const three = tf.fill([1, 1, 1, 1, 1], 3);
      return [tf.maximum(conv(x), three), tf.mul(conv(x), three)];
    },
    ['Conv2D', 'Maximum', 'Conv2D', 'Multiply'],
  ],
  [
    'what no output needs is left out',
    SHAPE,
    (x) => {
      const y = conv(x);
      tf.neg(tf.abs(y));
      return tf.relu(y);
    },
    ['FusedConv2D relu'],
  ],
  [
    'a convolution that is used elsewhere stays',
    SHAPE,
    (x) => {
      const y = conv(x);
      return [tf.relu(y), tf.neg(y)];
    },
    ['Conv2D', 'Relu', 'Neg'],
  ],
  [
    'a convolution that is an output stays',
    SHAPE,
    (x) => {
      const y = conv(x);
      return [tf.relu(y), y];
    },
    ['Conv2D', 'Relu'],
  ],
  [
    'padding before a convolution',
    SHAPE,
    (x) =>
      conv(
        tf.pad(x, [
          [0, 0],
          [1, 0],
          [2, 1],
          [0, 0],
        ]),
        'valid',
      ),
    ['Conv2D'],
  ],
  [
    'padding before a depthwise convolution of stride 2',
    SHAPE,
    (x) =>
      tf.depthwiseConv2d(
        tf.pad(x, [
          [0, 0],
          [0, 1],
          [0, 1],
          [0, 0],
        ]) as tf.Tensor4D,
        WEIGHTS.depthwise,
        2,
        'valid',
      ),
    ['DepthwiseConv2dNative'],
  ],
  [
    'padding with ones stays',
    SHAPE,
    (x) =>
      conv(
        tf.pad(
          x,
          [
            [0, 0],
            [1, 0],
            [2, 1],
            [0, 0],
          ],
          1,
        ),
        'valid',
      ),
    ['PadV2', 'Conv2D'],
  ],
  [
    "padding before 'same' stays",
    SHAPE,
    (x) =>
      conv(
        tf.pad(x, [
          [0, 0],
          [1, 0],
          [0, 0],
          [0, 0],
        ]),
        'same',
      ),
    ['PadV2', 'Conv2D'],
  ],
  [
    'a dilated convolution as three kernels',
    SHAPE,
    (x) =>
      tf.batchToSpaceND(
        conv(
          tf.spaceToBatchND(
            x,
            [2, 2],
            [
              [2, 3],
              [2, 2],
            ],
          ),
          'valid',
        ),
        [2, 2],
        [
          [0, 1],
          [0, 0],
        ],
      ),
    ['Conv2D'],
  ],
  [
    'two transposes',
    SHAPE,
    (x) => tf.relu(tf.transpose(tf.transpose(x, [0, 3, 1, 2]), [0, 2, 3, 1])),
    ['Relu'],
  ],
  [
    'copies',
    SHAPE,
    (x) =>
      tf.relu(tf.concat([tf.slice(tf.reshape(tf.cast(x, 'float32'), SHAPE).clone(), [0, 0, 0, 0], SHAPE)])),
    ['Relu'],
  ],
  ['an input as an output', SHAPE, (x) => [x.clone(), tf.relu(x)], ['Relu']],
  ['a constant as an output', SHAPE, (x) => [tf.relu(x), WEIGHTS.scale[4].clone()], ['Relu']],
];

/** What needs our own kernels. */
const OWN: readonly Case[] = [
  [
    'SiLU',
    SHAPE,
    (x) => {
      const y = batchNorm(conv(x));
      return tf.mul(y, tf.sigmoid(y));
    },
    ['Im2winConv2D silu'],
  ],
  ['tanh', SHAPE, (x) => tf.tanh(conv(x)), ['Im2winConv2D tanh']],
  ['a clip', SHAPE, (x) => tf.clipByValue(conv(x), -0.5, 0.75), ['Im2winConv2D clip']],
  [
    'relu6 as a maximum of a minimum',
    SHAPE,
    (x) => tf.maximum(0, tf.minimum(conv(x), 6)),
    ['FusedConv2D relu6'],
  ],
  [
    "Keras's hard sigmoid",
    SHAPE,
    (x) => tf.clipByValue(tf.add(tf.mul(0.2, conv(x)), 0.5), 0, 1),
    ['Im2winConv2D clip'],
  ],
  [
    'hard sigmoid by relu6',
    SHAPE,
    (x) => tf.div(tf.relu6(tf.add(conv(x), 3)), 6),
    ['Im2winConv2D hardsigmoid'],
  ],
  [
    'hard-swish, the sixth at the gate',
    SHAPE,
    (x) => {
      const y = batchNorm(conv(x));
      return tf.mul(tf.mul(tf.relu6(tf.add(y, 3)), 1 / 6), y);
    },
    ['Im2winConv2D hardswish'],
  ],
  [
    'hard-swish, the sixth at the end, of a depthwise convolution',
    SHAPE,
    (x) => {
      const y = tf.depthwiseConv2d(x, WEIGHTS.depthwise, 1, 'same');
      return tf.div(tf.mul(y, tf.clipByValue(tf.add(3, y), 0, 6)), 6);
    },
    ['Im2winDepthwiseConv2D hardswish'],
  ],
  [
    'another factor than a sixth stays',
    SHAPE,
    (x) => {
      const y = conv(x);
      return tf.div(tf.mul(y, tf.relu6(tf.add(3, y))), 5);
    },
    ['Conv2D', 'Add', 'Relu6', 'Multiply', 'RealDiv'],
  ],
  [
    'transposes around a convolution with channels first',
    SHAPE,
    (x) =>
      tf.transpose(
        tf.conv2d(tf.transpose(x, [0, 3, 1, 2]) as tf.Tensor4D, WEIGHTS.filter, 1, 'same', 'NCHW'),
        [0, 2, 3, 1],
      ),
    ['Conv2D'],
  ],
  [
    'a residual sum, and relu',
    SHAPE,
    (x) => {
      const shortcut = tf.conv2d(x, WEIGHTS.point, 1, 'same');
      return tf.relu(tf.add(batchNorm(conv(x)), shortcut));
    },
    ['Conv2D', 'Im2winConv2D relu'],
  ],
  [
    'a sum behind an activation',
    [1, 5, 5, 6],
    (x) => tf.add(x, tf.relu(tf.conv2d(x, random([3, 3, 6, 6], 9) as tf.Tensor4D, 1, 'same'))),
    ['Im2winConv2D relu'],
  ],
  [
    'an activation behind such a sum stays',
    [1, 5, 5, 6],
    (x) => tf.relu(tf.add(x, tf.relu(tf.conv2d(x, random([3, 3, 6, 6], 9) as tf.Tensor4D, 1, 'same')))),
    ['Im2winConv2D relu', 'Relu'],
  ],
  [
    'a sum that broadcasts stays',
    SHAPE,
    (x) => tf.add(conv(x), tf.mean(conv(x), [1, 2], true)),
    ['Conv2D', 'Conv2D', 'Mean', 'Add'],
  ],
];

/** Roundings of weights, of sums of 40 products, and of the batch norm: a hundred of them. */
const TOLERANCE = 100 * 2 ** -24;

describe.each(['wasm', 'cpu'] as const)('%s', (backend) => {
  let registration: Im2winRegistration | undefined;
  beforeEach(() => freshBackend(backend));
  afterEach(() => registration?.unregister());

  test.each(FOLDED)('%s', (_, shape, model, kernels) => {
    makeWeights();
    const {after, difference} = rewritten([random(shape)], model as never);
    expect(after).toEqual(kernels);
    expect(difference).toBeLessThan(TOLERANCE);
  });

  test.each([...FOLDED, ...OWN])('%s, registered', async (_, shape, model, kernels) => {
    registration = await registerIm2win({numThreads: 1});
    makeWeights();
    const {after, difference} = rewritten([random(shape)], model as never);
    expect(after).toEqual(kernels);
    expect(difference).toBeLessThan(TOLERANCE);
  });
});
