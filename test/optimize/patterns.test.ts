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

const toPlanes = (x: tf.Tensor) => tf.transpose(x, [0, 3, 1, 2]);
const toPixels = (x: tf.Tensor) => tf.transpose(x, [0, 2, 3, 1]);
const perChannel = (values: tf.Tensor) => tf.reshape(values, [1, -1, 1, 1]);

/** A convolution as a network of channels first has it once it is converted. */
const planarConv = (x: tf.Tensor, weights: tf.Tensor = WEIGHTS.filter, pad: 'same' | 'valid' = 'same') =>
  toPlanes(tf.conv2d(toPixels(x) as tf.Tensor4D, weights as tf.Tensor4D, 1, pad));

/** Of channels first. */
const PLANES = [2, 4, 9, 8];
const ONE: [number, number] = [1, 1];
const NONE: [number, number] = [0, 0];

/** Transposes that move. */
const PLANAR: readonly Case[] = [
  [
    'channels first: constants of a channel, and an activation',
    PLANES,
    (x) => {
      const y = tf.add(tf.mul(planarConv(x), perChannel(WEIGHTS.scale[6])), perChannel(WEIGHTS.offset[6]));
      return toPixels(tf.clipByValue(y, 0, 6));
    },
    ['Transpose', 'FusedConv2D relu6'],
  ],
  [
    'channels first: padding of the input and of an inner image, whose numbers have two axes',
    PLANES,
    (x) => {
      const padded = tf.pad(tf.mul(x, 1 / 255), [NONE, NONE, ONE, [2, 1]]);
      const y = tf.relu(planarConv(padded, WEIGHTS.filter, 'valid'));
      return planarConv(tf.pad(y, [NONE, NONE, [0, 1], ONE]), random([3, 3, 6, 5], 21), 'valid');
    },
    ['Transpose', 'FusedConv2D relu', 'Conv2D', 'Transpose'],
  ],
  [
    'channels first: concatenation, split and a mean',
    PLANES,
    (x) => {
      const both = tf.concat([planarConv(x), tf.neg(planarConv(x, WEIGHTS.point))], 1);
      const [a, b] = tf.split(both, [5, 7], -3);
      return toPixels(tf.mul(tf.mean(a, [2, -1], true), tf.slice(b, [0, 0, 0, 0], [2, 5, 9, 8])));
    },
    [
      ...['Transpose', 'Conv2D', 'Transpose', 'Conv2D', 'Neg', 'Concat', 'SplitV'],
      ...['Mean', 'Slice', 'Multiply'],
    ],
  ],
  [
    'channels first: means over one image, and over channels',
    [2, 9, 8, 4],
    (x) => [
      tf.mean(toPlanes(conv(x)), [2, 3]),
      tf.mean(toPlanes(conv(x)), 1),
      tf.sum(toPlanes(conv(x)), [0, 3]),
    ],
    ['Conv2D', 'Mean', 'Conv2D', 'Mean', 'Conv2D', 'Transpose', 'Sum'],
  ],
  [
    'a product of two orders stays',
    [2, 6, 6, 6],
    (x) => tf.mul(toPlanes(tf.abs(x)), tf.transpose(tf.neg(x), [0, 3, 2, 1])),
    ['Transpose', 'Abs', 'Transpose', 'Neg', 'Multiply'],
  ],
  [
    'a transpose that cannot move to the input stays',
    PLANES,
    (x) => toPixels(tf.mul(tf.add(x, random([9, 8])), 3)),
    ['Add', 'Multiply', 'Transpose'],
  ],
  [
    'a transpose that is an output, or that others need, stays',
    [2, 9, 8, 4],
    (x) => {
      const y = toPlanes(conv(x));
      return [tf.relu(y), y, tf.relu(tf.softmax(toPlanes(conv(x))))];
    },
    ['Conv2D', 'Transpose', 'Relu', 'Conv2D', 'Transpose', 'Softmax', 'Relu'],
  ],
  [
    'constants of several axes stay',
    [2, 9, 8, 4],
    (x) => tf.add(toPlanes(conv(x)), random([6, 9, 1])),
    ['Conv2D', 'Transpose', 'Add'],
  ],
];

/** A residual block of channels first with squeeze-and-excite. */
const PLANAR_BLOCK: Case = [
  'channels first: a residual block with squeeze-and-excite',
  PLANES,
  (x) => {
    const first = tf.relu(tf.add(planarConv(x), perChannel(WEIGHTS.offset[6])));
    const y = tf.add(planarConv(first, random([3, 3, 6, 6], 9)), perChannel(WEIGHTS.offset[6]));
    const squeezed = tf.relu(planarConv(tf.mean(y, [2, 3], true), random([1, 1, 6, 2], 10)));
    const gate = tf.sigmoid(planarConv(squeezed, random([1, 1, 2, 6], 11)));
    const sum = tf.relu(tf.add(first, tf.mul(y, gate)));
    const next = planarConv(sum, random([3, 3, 6, 6], 12));
    return tf.mean(toPixels(tf.relu(tf.add(next, sum))), [1, 2]);
  },
  [
    'Transpose',
    'FusedConv2D relu',
    'FusedConv2D',
    'Mean',
    'FusedConv2D relu',
    'FusedConv2D sigmoid',
    'Multiply',
    'Add',
    'Relu',
    'Im2winConv2D relu',
    'Mean',
  ],
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
  [
    'SiLU, as tfjs-layers computes it',
    SHAPE,
    (x) => {
      const y = batchNorm(conv(x));
      return tf.mul(tf.sigmoid(tf.mul(y, 1)), y);
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
    'GELU by erf, as Keras writes it',
    SHAPE,
    (x) => {
      const y = batchNorm(conv(x));
      return tf.mul(y, tf.mul(0.5, tf.add(1, tf.erf(tf.div(y, Math.SQRT2)))));
    },
    ['Im2winConv2D gelu'],
  ],
  [
    'GELU by erf, as the converter writes it',
    SHAPE,
    (x) => {
      const y = tf.depthwiseConv2d(x, WEIGHTS.depthwise, 1, 'same');
      return tf.mul(tf.mul(0.5, y), tf.add(tf.erf(tf.mul(y, Math.SQRT1_2)), 1));
    },
    ['Im2winDepthwiseConv2D gelu'],
  ],
  ...[(y: tf.Tensor) => tf.pow(y, 3), (y: tf.Tensor) => tf.mul(tf.mul(y, y), y)].map(
    (cube, i): Case => [
      `GELU by tanh, with a cube of kind ${i}`,
      SHAPE,
      (x) => {
        const y = conv(x);
        const inner = tf.mul(Math.sqrt(2 / Math.PI), tf.add(y, tf.mul(cube(y), 0.044715)));
        return tf.mul(0.5, tf.mul(y, tf.add(1, tf.tanh(inner))));
      },
      ['Im2winConv2D gelu_new'],
    ],
  ),
  [
    'what is nearly GELU stays',
    SHAPE,
    (x) => {
      const y = conv(x);
      const gate = tf.erf(tf.mul(y, Math.SQRT1_2));
      const z = conv(x);
      return [
        gate,
        tf.mul(tf.mul(0.5, y), tf.add(gate, 1)),
        tf.mul(tf.mul(0.5, z), tf.add(tf.erf(tf.mul(z, 0.75)), 1)),
      ];
    },
    [
      ...['Conv2D', 'Multiply', 'Erf', 'Conv2D', 'Multiply', 'Add', 'Multiply'],
      ...['Multiply', 'Multiply', 'Erf', 'Add', 'Multiply'],
    ],
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

/** Factors of channels in the filter behind, where the image is larger by enough. */
const EXCITED: readonly Case[] = [
  [
    'factors of channels go into the filter, and what is behind still into the convolution',
    [1, 16, 17, 4],
    (x) => {
      const gate = tf.sigmoid(
        tf.conv2d(tf.mean(x, [1, 2], true) as tf.Tensor4D, random([1, 1, 4, 4], 5) as tf.Tensor4D, 1, 'same'),
      );
      const y = tf.conv2d(tf.mul(gate, x) as tf.Tensor4D, WEIGHTS.point, 1, 'valid');
      return tf.relu(batchNorm(y));
    },
    ['Mean', 'FusedConv2D sigmoid', 'Reshape', 'Multiply', 'FusedConv2D relu'],
  ],
  [
    'factors of two images stay',
    [2, 16, 17, 4],
    (x) => tf.conv2d(tf.mul(x, tf.mean(x, [1, 2], true)) as tf.Tensor4D, WEIGHTS.point, 1, 'valid'),
    ['Mean', 'Multiply', 'Conv2D'],
  ],
  [
    'factors of pixels stay, and those of a small image, and those for a filter of more pixels',
    [1, 16, 17, 4],
    (x) => {
      const small = tf.slice(x as tf.Tensor4D, [0, 0, 0, 0], [1, 6, 7, 4]);
      const gate = tf.mean(x, [1, 2], true);
      return [
        tf.conv2d(tf.mul(x, tf.mean(x, 3, true)) as tf.Tensor4D, WEIGHTS.point, 1, 'valid'),
        tf.conv2d(tf.mul(small, gate) as tf.Tensor4D, WEIGHTS.point, 1, 'valid'),
        tf.conv2d(tf.mul(x, gate) as tf.Tensor4D, WEIGHTS.filter, 1, 'valid'),
      ];
    },
    ['Slice', 'Mean', 'Mean', 'Multiply', 'Conv2D', 'Multiply', 'Conv2D', 'Multiply', 'Conv2D'],
  ],
];

/** Roundings of weights, of sums of 40 products, and of the batch norm: a hundred of them. */
const TOLERANCE = 100 * 2 ** -24;

describe.each(['wasm', 'cpu'] as const)('%s', (backend) => {
  let registration: Im2winRegistration | undefined;
  beforeEach(() => freshBackend(backend));
  afterEach(() => registration?.unregister());

  test.each([...FOLDED, ...PLANAR])('%s', (_, shape, model, kernels) => {
    makeWeights();
    const {after, difference} = rewritten([random(shape)], model as never);
    expect(after).toEqual(kernels);
    expect(difference).toBeLessThan(TOLERANCE);
  });

  test.each([...FOLDED, ...PLANAR, ...OWN, PLANAR_BLOCK, ...EXCITED])(
    '%s, registered',
    async (_, shape, model, kernels) => {
      registration = await registerIm2win({numThreads: 1});
      makeWeights();
      const {after, difference} = rewritten([random(shape)], model as never);
      expect(after).toEqual(kernels);
      expect(difference).toBeLessThan(TOLERANCE);
    },
  );
});
