// Graphs drawn at random: the same values before and after, whatever the patterns make of them.
import {type Im2winRegistration, registerIm2win} from '../../src/index.ts';
import {freshBackend, tf} from '../tf.ts';
import {positive, random, rewritten} from './rewriting.ts';

/** Numbers from 0 to `count` - 1. */
function drawer(seed: number): (count: number) => number {
  let state = seed;
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
}

type Draw = ReturnType<typeof drawer>;
type Step = (x: tf.Tensor4D, draw: Draw, seed: number) => tf.Tensor;

const PERMS = [
  [0, 3, 1, 2],
  [0, 2, 3, 1],
  [0, 2, 1, 3],
];

const pair = (draw: Draw): [number, number] => [draw(2), draw(3)];

/** One value for each index of an axis, in as many dimensions as tfjs allows there. */
function along(
  x: tf.Tensor,
  axis: number,
  values: (shape: number[], seed?: number) => tf.Tensor,
  seed: number,
) {
  const shape = x.shape.map((size, i) => (i === axis ? size : 1)).slice(axis);
  return values(shape, seed);
}

const conv: Step = (x, draw, seed) => {
  const size = x.shape[1] < 3 || x.shape[2] < 3 ? 1 : 1 + 2 * draw(2);
  const filters = 2 + draw(5);
  const filter = random([size, size, x.shape[3], filters], seed) as tf.Tensor4D;
  return tf.conv2d(x, filter, 1, draw(2) === 0 ? 'same' : 0);
};

const STEPS: readonly Step[] = [
  (x, draw) => tf.transpose(x, PERMS[draw(PERMS.length)]),
  (x, draw) => tf.transpose(x, PERMS[draw(2)]),
  conv,
  (x, draw, seed) => tf.transpose(conv(tf.transpose(x, [0, 2, 3, 1]), draw, seed), [0, 3, 1, 2]),
  (x, draw, seed) =>
    tf.depthwiseConv2d(x, random([3, 3, x.shape[3], 1 + draw(2)], seed) as tf.Tensor4D, 1, 'same'),
  (x, draw, seed) => tf.add(x, along(x, draw(4), random, seed)),
  (x, draw, seed) => tf.mul(along(x, draw(4), random, seed), x),
  (x, draw, seed) => tf.sub(x, draw(2) === 0 ? random([], seed) : random(x.shape.slice(2), seed)),
  (x, _, seed) => tf.div(x, along(x, 3, positive, seed)),
  (x, _, seed) =>
    tf.batchNorm(x, along(x, 3, random, seed) as tf.Tensor1D, along(x, 3, positive, seed) as tf.Tensor1D),
  (x) => tf.relu(x),
  (x) => tf.mul(x, tf.sigmoid(x)),
  (x) => tf.clipByValue(x, -0.5, 2),
  (x) => tf.div(tf.mul(x, tf.relu6(tf.add(x, 3))), 6),
  (x, _, seed) => tf.prelu(x, along(x, 3, random, seed)),
  (x, draw) => tf.pad(x, [[0, 0], pair(draw), pair(draw), pair(draw)]),
  (x, draw) => tf.concat([tf.neg(x), x], draw(4)),
  (x, draw) => {
    const axis = draw(4);
    return x.shape[axis] > 2 ? tf.split(x, [1, x.shape[axis] - 1], axis)[draw(2)] : tf.abs(x);
  },
  (x, draw) => tf.add(x, tf.mean(x, [1 + draw(3), 0], true)),
  (x, draw, seed) => {
    const y = conv(x, draw, seed);
    return String(y.shape) === String(x.shape) ? tf.relu(tf.add(x, y)) : tf.add(y, tf.relu(y));
  },
];

describe.each(['wasm', 'cpu'] as const)('%s', (backend) => {
  let registration: Im2winRegistration;
  beforeEach(async () => {
    await freshBackend(backend);
    registration = await registerIm2win({numThreads: 1});
  });
  afterEach(() => registration.unregister());

  test.each(Array.from({length: 60}, (_, i) => [i]))('graph %d', (seed) => {
    const model = (input: tf.Tensor) => {
      const draw = drawer(seed + 1);
      const values = [input as tf.Tensor4D];
      const count = 3 + draw(8);
      for (let i = 0; i < count; ++i) {
        // The last one most often; an earlier one is then taken twice.
        const x = values[draw(5) === 0 ? draw(values.length) : values.length - 1];
        const y = STEPS[draw(STEPS.length)](x, draw, 100 * seed + i) as tf.Tensor4D;
        // Concatenations and paddings must not go on growing, and sizes of 0 have nothing to compute.
        if (y.size < 20_000 && y.size > 0) values.push(y);
      }
      return draw(3) === 0 && values.length > 2 ? values.slice(-2) : values[values.length - 1];
    };
    const {before, after, difference} = rewritten([random([2, 5, 6, 4], seed + 7)], model);
    // A transpose that several take, not all of whom undo it, may become two.
    expect(after.length).toBeLessThanOrEqual(before.length + 2);
    // Sums of up to 200 products, up to eleven of them, each by another way.
    expect(difference).toBeLessThan(1e-5);
  });
});
