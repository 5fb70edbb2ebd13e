// The forms in which stock tfjs takes arguments: each works as the plain one does.
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {convolve} from './reference.ts';
import {convCase, expectConvolution, floats, freshBackend, LINEAR, tf} from './tf.ts';

type Strides = [number, number];
const as = <T>(value: unknown): T => value as T;

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  let registration: Im2winRegistration;
  beforeEach(async () => {
    await freshBackend(backend);
    registration = await registerIm2win({backends: [backend]});
  });
  afterEach(() => registration.unregister());

  const x = () => tf.tensor4d(floats(2 * 9 * 10 * 3, 1), [2, 9, 10, 3]);
  const filter = () => tf.tensor4d(floats(3 * 2 * 3 * 5, 2), [3, 2, 3, 5]);

  test.each<[string, unknown, Strides]>([
    ['a typed array', new Int32Array([2, 3]), [2, 3]],
    ['three numbers', [2, 1, 7], [2, 1]],
    ['four numbers', [1, 2, 2, 1], [1, 2]],
    ['lists of one', [[2], [3]], [2, 3]],
  ])('strides and dilations as %s', (_, form, [height, width]) => {
    for (const name of ['strides', 'dilations'] as const) {
      const operands = {x: x(), filter: filter()};
      const problem = convCase([2, 9, 10, 3], [3, 2, 3, 5], {[name]: [height, width], pad: 'same'});
      const [strides, dilations] = name === 'strides' ? [form, 1] : [1, form];
      const output = tf.conv2d(
        operands.x,
        operands.filter,
        as<Strides>(strides),
        'same',
        'NHWC',
        as<Strides>(dilations),
      );
      expectConvolution(output, problem, LINEAR, operands, 'winograd');
    }
  });

  test('tf.conv1d with a stride or a dilation in a list', () => {
    const operands = {
      x: tf.tensor4d(floats(60, 1), [1, 1, 20, 3]),
      filter: tf.tensor4d(floats(36, 2), [1, 3, 3, 4]),
    };
    const [signal, taps] = [
      tf.reshape(operands.x, [1, 20, 3]),
      tf.reshape(operands.filter, [3, 3, 4]),
    ] as tf.Tensor3D[];
    for (const [stride, dilation] of [
      [2, 1],
      [1, 3],
    ]) {
      const output = tf.conv1d(
        signal,
        taps,
        stride === 1 ? 1 : as<number>([stride]),
        'same',
        'NWC',
        dilation === 1 ? 1 : as<number>([dilation]),
      ) as tf.Tensor;
      const problem = convCase([1, 1, 20, 3], [1, 3, 3, 4], {
        strides: [1, stride],
        dilations: [1, dilation],
        pad: 'same',
      });
      expectConvolution(tf.expandDims(output, 1), problem, LINEAR, operands, 'winograd');
    }
  });

  test.each([
    ['typed arrays', [[0, 0], new Int32Array([1, 2]), [2, 0], [0, 0]]],
    [
      'three pairs',
      [
        [0, 0],
        [1, 2],
        [2, 0],
      ],
    ],
  ])('pads as %s', (_, pad) => {
    const operands = {x: x(), filter: filter()};
    const problem = convCase([2, 9, 10, 3], [3, 2, 3, 5], {
      pad: [
        [0, 0],
        [1, 2],
        [2, 0],
        [0, 0],
      ],
    });
    const output = tf.conv2d(operands.x, operands.filter, 1, as<'same'>(pad));
    expectConvolution(output, problem, LINEAR, operands, 'winograd');
  });

  test.each([
    [[0, 2], 'same'],
    [[2, 0], 'valid'],
    [[0, 0], 1],
  ] as const)('a filter of %s taps, pad %s', ([height, width], pad) => {
    const bias = tf.tensor1d([1, -2, 0.5, 0, 3]);
    const empty = tf.zeros([height, width, 3, 5]) as tf.Tensor4D;
    const problem = convCase([2, 9, 10, 3], [height, width, 3, 5], {pad});
    expectConvolution(tf.conv2d(x(), empty, 1, pad), problem, LINEAR, {x: x(), filter: empty});
    const fused = tf.fused.conv2d({x: x(), filter: empty, strides: 1, pad, bias, activation: 'relu'});
    const epilogue = {activation: 'relu', biasShape: [5]};
    expectConvolution(fused, problem, epilogue, {x: x(), filter: empty, bias});
    const each = tf.zeros([height, width, 3, 2]) as tf.Tensor4D;
    const depthwise = tf.depthwiseConv2d(x(), each, 1, pad);
    expect(depthwise.shape).toEqual([2, problem.outHeight, problem.outWidth, 6]);
    expect(depthwise.dataSync().every((value) => value === 0)).toBe(true);
    const {outHeight, outWidth} = problem;
    const dy = tf.ones([2, outHeight, outWidth, 5]) as tf.Tensor4D;
    const transposed = tf.conv2dTranspose(dy, empty, [2, 9, 10, 3], 1, pad);
    expect(transposed.shape).toEqual([2, 9, 10, 3]);
    expect(transposed.dataSync().every((value) => value === 0)).toBe(true);
  });

  test.each(['int32', 'bool'] as const)('prelu slopes of type %s', (dtype) => {
    const operands = {x: x(), filter: filter()};
    const slopes = [3, 0, 1, 0, 1].map((slope) => (dtype === 'bool' ? slope % 2 : slope));
    const output = tf.fused.conv2d({
      ...operands,
      strides: 1,
      pad: 'same',
      activation: 'prelu',
      preluActivationWeights: tf.tensor1d(slopes, dtype),
    });
    const problem = convCase([2, 9, 10, 3], [3, 2, 3, 5], {pad: 'same'});
    expectConvolution(
      output,
      problem,
      {activation: 'prelu', slopeShape: [5]},
      {...operands, preluActivationWeights: tf.tensor1d(slopes, 'float32')},
      'winograd',
    );
  });

  test('what stock does not take names the op and the argument', () => {
    const run = (strides: unknown, pad: unknown = 'same') =>
      tf.conv2d(x(), filter(), as<Strides>(strides), as<'same'>(pad));
    expect(() => run([2])).toThrow('im2win: tf.conv2d: strides is [2]; allowed: an integer of at least 1');
    expect(() => run(1.5)).toThrow('im2win: tf.conv2d: strides is 1.5');
    expect(() => run(1, [1, 1])).toThrow("im2win: tf.conv2d: pad is [1, 1]; allowed: 'same', 'valid'");
  });
});

test("on cpu a transposed convolution with a smaller dy is stock's", async () => {
  await freshBackend('cpu');
  const run = () => {
    const [dy, filter] = [tf.ones([1, 2, 2, 1]), tf.ones([2, 2, 1, 1])] as tf.Tensor4D[];
    return tf.conv2dTranspose(dy, filter, [1, 5, 5, 1], 2, 'same').dataSync();
  };
  const stock = run();
  const registration = await registerIm2win();
  expect(run()).toEqual(stock);
  expect(registration.report()[0].reason).toBe('dy has shape [1,2,2,1], and the output [1,3,3,1]');
  registration.unregister();
});

describe('on cpu a filter that is changed in place', () => {
  let registration: Im2winRegistration;
  beforeEach(async () => {
    await freshBackend('cpu');
    registration = await registerIm2win();
  });
  afterEach(() => registration.unregister());

  const shapes = {x: [1, 9, 9, 4], filter: [3, 3, 4, 8]} as const;

  test.each<[string, (filter: tf.Tensor4D, own: Float32Array) => void]>([
    [
      'through the array that it was made from',
      (_, own) => {
        own[7] = 5;
      },
    ],
    [
      'through dataSync()',
      (filter) => {
        filter.dataSync()[7] = 5;
      },
    ],
    ['through bufferSync()', (filter) => filter.bufferSync().set(5, 0, 0, 0, 7)],
  ])('%s', (_, change) => {
    for (const algorithm of ['im2win', 'winograd'] as const) {
      registration.setAlgorithm(algorithm);
      const own = floats(288, 2);
      const filter = tf.tensor4d(own, [...shapes.filter]);
      const x = tf.tensor4d(floats(324, 1), [...shapes.x]);
      const problem = convCase([...shapes.x], [...shapes.filter], {pad: 'same'});
      tf.conv2d(x, filter, 1, 'same');
      change(filter, own);
      const changed = floats(288, 2);
      changed[7] = 5;
      const output = tf.conv2d(x, filter, 1, 'same').dataSync();
      const {sums} = convolve(problem, x.dataSync<'float32'>(), changed);
      for (let i = 0; i < sums.length; ++i) expect(output[i]).toBeCloseTo(sums[i], 4);
    }
  });
});
