// im2winConv2d as an op: its values, its gradients, its bad inputs.
import '@tensorflow/tfjs-layers'; // Registers tfjs's own gradients.
import {ACTIVATIONS, TFJS_ACTIVATIONS} from '../src/activation.ts';
import {
  type Im2winConv2dOptions,
  type Im2winRegistration,
  im2winConv2d,
  registerIm2win,
} from '../src/index.ts';
import {floats, freshBackend, size, tf} from './tf.ts';

let registration: Im2winRegistration;

const tensorOf = <R extends tf.Rank>(shape: tf.ShapeMap[R], seed: number) =>
  tf.tensor(floats(size(shape), seed), shape) as tf.Tensor<R>;

function expectClose(actual: tf.Tensor, expected: tf.Tensor, tolerance = 1e-5): void {
  expect(actual.shape).toEqual(expected.shape);
  const values = actual.dataSync();
  for (const [i, value] of expected.dataSync().entries())
    expect(Math.abs(values[i] - value)).toBeLessThan(tolerance);
}

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  beforeAll(async () => {
    await freshBackend(backend);
    registration = await registerIm2win();
  });
  afterAll(() => registration.unregister());

  test.each(TFJS_ACTIVATIONS)('gives what tf.fused.conv2d gives: %s', (activation) => {
    const x = tensorOf<tf.Rank.R4>([2, 7, 8, 3], 1);
    const filter = tensorOf<tf.Rank.R4>([3, 2, 3, 5], 2);
    const bias = tensorOf<tf.Rank.R1>([5], 3);
    const preluActivationWeights = activation === 'prelu' ? tensorOf<tf.Rank.R1>([5], 4) : undefined;
    const options = {
      strides: [2, 1] as [number, number],
      pad: 'same' as const,
      bias,
      activation,
      preluActivationWeights,
    };
    const expected = tf.fused.conv2d({x, filter, ...options});
    expectClose(im2winConv2d(x, filter, options), expected);
  });

  test('takes three dimensions, and lists of numbers', () => {
    const x = tensorOf<tf.Rank.R3>([5, 6, 2], 1);
    const filter = tensorOf<tf.Rank.R4>([2, 2, 2, 3], 2);
    const options = {strides: 1, pad: 'valid' as const};
    const expected = tf.conv2d(x, filter, 1, 'valid');
    expectClose(im2winConv2d(x, filter, options), expected);
    expectClose(im2winConv2d(x.arraySync(), filter.arraySync(), options) as tf.Tensor3D, expected);
  });

  test.each([
    [2, 2, 5],
    [1, 3, 4],
    [3, 1, 7],
  ])('a filter as large as its image: %i×%i of %i channels', (height, width, channels) => {
    const x = tensorOf<tf.Rank.R4>([3, height, width, channels], 1);
    const filter = tensorOf<tf.Rank.R4>([height, width, channels, 11], 2);
    const bias = tensorOf<tf.Rank.R1>([11], 3);
    // Each output is a sum over all of an image.
    const values = x
      .arraySync()
      .map((image) =>
        bias
          .arraySync()
          .map((start, n) =>
            image.reduce(
              (sum, row, h) =>
                row.reduce(
                  (own, pixel, w) =>
                    pixel.reduce((total, value, c) => total + value * filter.arraySync()[h][w][c][n], own),
                  sum,
                ),
              start,
            ),
          ),
      );
    const got = tf.fused.conv2d({x, filter, strides: 1, pad: 'valid', bias});
    expectClose(tf.reshape(got, [3, 11]), tf.tensor2d(values));
    const [record] = registration.report().slice(-1);
    expect(record).toMatchObject({filterShape: [height, width, channels, 11], outShape: [3, 1, 1, 11]});
  });

  test('leaves nothing behind in a tidy', () => {
    const x = tensorOf<tf.Rank.R3>([5, 6, 2], 1);
    const filter = tensorOf<tf.Rank.R4>([2, 2, 2, 3], 2);
    const before = tf.memory().numTensors;
    tf.tidy(() =>
      im2winConv2d(x, filter, {strides: 1, pad: 'same', bias: [1, 2, 3], activation: 'relu'}).dataSync(),
    );
    expect(tf.memory().numTensors).toBe(before);
  });

  // The wasm backend has no gradient for filters.
  const arguments_ = backend === 'cpu' ? (['x', 'filter', 'bias'] as const) : (['x', 'bias'] as const);

  const residuals = [undefined, 'before', 'after'] as const;

  test.each(
    ACTIVATIONS.flatMap((activation) => residuals.map((place) => [activation, place ?? 'none'] as const)),
  )('has the gradient of the unfused ops: %s, residual %s', (activation, place) => {
    const x = tensorOf<tf.Rank.R4>([2, 6, 5, 2], 1);
    const filter = tensorOf<tf.Rank.R4>([3, 2, 2, 4], 2);
    const bias = tensorOf<tf.Rank.R1>([4], 3);
    const slope = tensorOf<tf.Rank.R1>([4], 5);
    const residual = tensorOf<tf.Rank.R4>([2, 6, 3, 4], 7);
    const options: Im2winConv2dOptions = {strides: [1, 2], pad: 'same', activation};
    if (activation === 'prelu') options.preluActivationWeights = slope;
    if (activation === 'clip') Object.assign(options, {clipMin: -0.5, clipMax: 1});
    options.residualAfterActivation = place === 'after';
    const activate = (y: tf.Tensor): tf.Tensor =>
      ({
        linear: () => y,
        relu: () => tf.relu(y),
        relu6: () => tf.relu6(y),
        prelu: () => tf.prelu(y, slope),
        leakyrelu: () => tf.leakyRelu(y, 0.2),
        sigmoid: () => tf.sigmoid(y),
        elu: () => tf.elu(y),
        tanh: () => tf.tanh(y),
        silu: () => tf.mul(y, tf.sigmoid(y)),
        gelu: () => tf.mul(tf.mul(y, 0.5), tf.add(1, tf.erf(tf.div(y, Math.SQRT2)))),
        gelu_new: () =>
          tf.mul(
            tf.mul(y, 0.5),
            tf.add(1, tf.tanh(tf.mul(tf.add(y, tf.mul(tf.pow(y, 3), 0.044715)), Math.sqrt(2 / Math.PI)))),
          ),
        hardsigmoid: () => tf.clipByValue(tf.add(tf.mul(y, 0.2), 0.5), 0, 1),
        hardswish: () => tf.div(tf.mul(y, tf.relu6(tf.add(y, 3))), 6),
        clip: () => tf.clipByValue(y, -0.5, 1),
      })[activation]();
    const dy = tensorOf<tf.Rank.R4>([2, 6, 3, 4], 6);
    const operands = {x, filter, bias, residual};
    for (const name of [...arguments_, ...(place === 'none' ? [] : (['residual'] as const))]) {
      const ours = tf.grad((v) => {
        const given = {...operands, [name]: v} as typeof operands;
        const own = place === 'none' ? {} : {residual: given.residual};
        return im2winConv2d(given.x, given.filter, {...options, bias: given.bias, ...own});
      })(operands[name], dy);
      const expected = tf.grad((v) => {
        const given = {...operands, [name]: v} as typeof operands;
        const sum = tf.add(tf.conv2d(given.x, given.filter, [1, 2], 'same'), given.bias);
        if (place === 'before') return activate(tf.add(sum, given.residual));
        return place === 'after' ? tf.add(activate(sum), given.residual) : activate(sum);
      })(operands[name], dy);
      expectClose(ours, expected);
    }
  });

  test('has the gradient of finite differences', () => {
    const filter = tensorOf<tf.Rank.R4>([2, 2, 2, 3], 2);
    const values = floats(32, 1);
    const loss = (x: tf.Tensor4D) =>
      tf.sum(tf.square(im2winConv2d(x, filter, {strides: 1, pad: 'same', activation: 'elu'})));
    const gradient = tf
      .grad(loss as (x: tf.Tensor) => tf.Tensor)(tf.tensor4d(values, [1, 4, 4, 2]))
      .dataSync();
    const step = 2 ** -7;
    for (const i of [0, 7, 16, 31]) {
      const moved = (by: number) =>
        loss(
          tf.tensor4d(
            values.map((v, j) => (j === i ? v + by : v)),
            [1, 4, 4, 2],
          ),
        ).dataSync()[0];
      // A central difference is off by the third derivative times step²: a few 1e-4 here, beside the sums' rounding.
      expect(gradient[i]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 1);
    }
  });

  test("a fused relu's gradient, of the kernel by its name", () => {
    const x = tensorOf<tf.Rank.R4>([1, 5, 5, 2], 1);
    const filter = tensorOf<tf.Rank.R4>([2, 2, 2, 3], 2);
    const attributes = {strides: 1, pad: 'valid', activation: 'relu'};
    const run = (v: tf.Tensor) =>
      tf.engine().runKernel('Im2winConv2D', {x: v, filter}, attributes) as tf.Tensor;
    const expected = tf.grad((v) => tf.relu(tf.conv2d(v as tf.Tensor4D, filter, 1, 'valid')))(x);
    expectClose(tf.grad(run)(x), expected);
  });

  const depthwise = (
    inputs: Record<string, tf.Tensor | undefined>,
    attributes: {[name: string]: string | number | boolean} = {},
  ) =>
    tf.engine().runKernel('Im2winDepthwiseConv2D', inputs as never, {
      strides: 1,
      pad: 'same',
      ...attributes,
    }) as tf.Tensor;

  test.each(['before', 'after'])('the gradient of Im2winDepthwiseConv2D, residual %s', (place) => {
    const operands = {
      x: tensorOf<tf.Rank.R4>([1, 5, 6, 3], 1),
      filter: tensorOf<tf.Rank.R4>([3, 2, 3, 2], 2),
      bias: tensorOf<tf.Rank.R1>([6], 3),
      residual: tensorOf<tf.Rank.R4>([1, 5, 6, 6], 4),
    };
    const dy = tensorOf<tf.Rank.R4>([1, 5, 6, 6], 5);
    const isLast = place === 'after';
    const activation = isLast ? 'linear' : 'relu';
    for (const name of ['x', 'filter', 'bias', 'residual'] as const) {
      const ours = tf.grad((v) =>
        depthwise({...operands, [name]: v}, {activation, residualAfterActivation: isLast}),
      )(operands[name], dy);
      const expected = tf.grad((v) => {
        const {x, filter, bias, residual} = {...operands, [name]: v} as typeof operands;
        const sum = tf.addN([
          tf.depthwiseConv2d(x, filter, 1, 'same'),
          tf.broadcastTo(bias, residual.shape),
          residual,
        ]);
        return isLast ? sum : tf.relu(sum);
      })(operands[name], dy);
      expectClose(ours, expected);
    }
  });

  test('no gradient of Im2winDepthwiseConv2D where it would be wrong', () => {
    const filter = tensorOf<tf.Rank.R4>([3, 2, 3, 2], 2);
    const gradient = (attributes: {[name: string]: string | boolean}, activation = 'relu') =>
      tf.grad((x) => depthwise({x, filter}, {...attributes, activation}))(
        tensorOf<tf.Rank.R4>([1, 3, 3, 3], 1),
      );
    const message = 'Error in gradient of Im2winDepthwiseConv2D:';
    expect(() => gradient({dataFormat: 'NCHW'})).toThrow(`${message} dataFormat is 'NCHW'`);
    expect(() => gradient({residualAfterActivation: true})).toThrow(
      `${message} residualAfterActivation is true`,
    );
    expect(() => gradient({}, 'silu')).toThrow('Cannot compute gradient for fused activation silu');
  });

  test('a residual of three dimensions, and a list of numbers', () => {
    const x = tensorOf<tf.Rank.R3>([2, 2, 3], 1);
    const filter = tensorOf<tf.Rank.R4>([1, 1, 3, 1], 2);
    const residual = [
      [[1], [2]],
      [[3], [-400]],
    ];
    const convolved = tf.conv2d(x, filter, 1, 'same');
    const options = {strides: 1, pad: 'same' as const, residual, activation: 'clip' as const, clipMax: 2};
    expectClose(im2winConv2d(x, filter, options), tf.minimum(tf.add(convolved, residual), 2));
  });

  test.each([
    ['activation', {activation: 'softmax'}, "activation is 'softmax'; allowed: linear, relu, relu6, prelu"],
    ['residual', {residual: [1, 5, 6, 7]}, 'residual has shape [1,5,6,7]; allowed: the output'],
    ['residual', {residual: [1, 1, 1, 6]}, 'residual has shape [1,1,1,6]; allowed: the output'],
    ['residual', {residual: [5, 6, 6]}, 'residual has shape [5,6,6]; allowed: the output'],
    ['residual', {residual: [1, 5, 6, 6], dtype: 'int32'}, 'residual has dtype int32; allowed: float32.'],
    ['clipMin', {activation: 'clip', clipMin: Number.NaN}, 'clipMin is NaN; allowed: a number.'],
    ['clipMin', {activation: 'clip', clipMin: 2, clipMax: 1}, 'clipMin is 2 and clipMax 1; allowed:'],
    ['hardsigmoidBeta', {activation: 'hardsigmoid', hardsigmoidBeta: 'x'}, "hardsigmoidBeta is 'x'"],
  ] as [string, {residual?: number[]; dtype?: 'int32'; [name: string]: unknown}, string][])(
    'bad %s of the kernels, by their names: %j',
    (_, {residual, dtype, ...attributes}, message) => {
      const x = tf.zeros([1, 5, 6, 3]);
      const further = residual ? {residual: tf.zeros(residual, dtype)} : {};
      expect(() => depthwise({x, filter: tf.zeros([3, 3, 3, 2]), ...further}, attributes as never)).toThrow(
        `im2win: Im2winDepthwiseConv2D: ${message}`,
      );
      const full = () =>
        tf.engine().runKernel(
          'Im2winConv2D',
          {x, filter: tf.zeros([3, 3, 3, 6]), ...further} as never,
          {
            strides: 1,
            pad: 'same',
            ...attributes,
          } as never,
        );
      expect(full).toThrow(`im2win: im2winConv2d: ${message}`);
    },
  );

  test.each(ACTIVATIONS.filter((name) => !TFJS_ACTIVATIONS.some((own) => own === name)))(
    "tfjs's own kernels refuse %s",
    (activation) => {
      const x = tf.zeros<tf.Rank.R4>([1, 5, 5, 2]);
      const filter = tf.zeros<tf.Rank.R4>([3, 3, 2, 2]);
      for (const kernel of ['FusedConv2D', 'FusedDepthwiseConv2D']) {
        const run = () =>
          tf.engine().runKernel(kernel, {x, filter}, {strides: 1, pad: 'same', activation} as never);
        expect(run).toThrow(`activation is '${activation}'; allowed: linear, relu, relu6,`);
      }
    },
  );
});

test('trains: variableGrads on cpu', async () => {
  await freshBackend('cpu');
  registration = await registerIm2win();
  const x = tensorOf<tf.Rank.R4>([4, 6, 6, 1], 1);
  const target = tensorOf<tf.Rank.R4>([4, 6, 6, 2], 2);
  const filter = tf.variable(tensorOf<tf.Rank.R4>([3, 3, 1, 2], 3));
  const bias = tf.variable(tf.zeros([2]));
  const optimizer = tf.train.adam(0.05);
  const loss = () =>
    tf.losses.meanSquaredError(
      target,
      im2winConv2d(x, filter as tf.Tensor4D, {strides: 1, pad: 'same', bias, activation: 'relu'}),
    ) as tf.Scalar;
  const before = loss().dataSync()[0];
  for (let i = 0; i < 40; ++i) optimizer.minimize(loss);
  expect(loss().dataSync()[0]).toBeLessThan(0.9 * before);
  registration.unregister();
});

test('tensors that move between the backends', async () => {
  await freshBackend('wasm');
  registration = await registerIm2win();
  const x = tensorOf<tf.Rank.R4>([1, 6, 6, 3], 1);
  const filter = tensorOf<tf.Rank.R4>([3, 3, 3, 4], 2);
  const options = {strides: 1, pad: 'same' as const};
  let y: tf.Tensor = im2winConv2d(x, filter, options);
  for (const backend of ['cpu', 'wasm', 'cpu', 'wasm'] as const) {
    await tf.setBackend(backend);
    const next = im2winConv2d(x, filter, options);
    expectClose(tf.add(next, 0), tf.add(y, 0));
    y = next;
  }
  registration.unregister();
});

describe('refuses', () => {
  const x = () => tf.zeros([1, 5, 5, 2]) as tf.Tensor4D;
  const filter = () => tf.zeros([3, 3, 2, 4]) as tf.Tensor4D;
  const options: Im2winConv2dOptions = {strides: 1, pad: 'same'};

  beforeAll(async () => {
    await freshBackend('cpu');
    registration = await registerIm2win();
  });
  afterAll(() => registration.unregister());

  test.each<[string, () => unknown]>([
    [
      'input must be rank 3 or 4, but got rank 2',
      () => im2winConv2d(tf.zeros([5, 5]) as never, filter(), options),
    ],
    [
      'options is undefined; allowed: an object',
      () => im2winConv2d(x(), filter(), undefined as unknown as Im2winConv2dOptions),
    ],
    [
      'strides is undefined; allowed: an integer of at least 1',
      () => im2winConv2d(x(), filter(), {pad: 'same'} as Im2winConv2dOptions),
    ],
    [
      "pad is 'x'; allowed: 'same', 'valid', an integer",
      () => im2winConv2d(x(), filter(), {strides: 1, pad: 'x' as 'same'}),
    ],
    ['filter must be rank 4, but got rank 3', () => im2winConv2d(x(), tf.zeros([3, 3, 2]) as never, options)],
    [
      'depth of input (2) must match input depth for filter 3',
      () => im2winConv2d(x(), tf.zeros([3, 3, 3, 4]) as tf.Tensor4D, options),
    ],
    [
      "'x' passed to 'im2winConv2d' must be float32",
      () => im2winConv2d(tf.zeros([1, 5, 5, 2], 'int32') as tf.Tensor4D, filter(), options),
    ],
    [
      "'filter' passed to 'im2winConv2d' must be float32",
      () => im2winConv2d(x(), tf.zeros([3, 3, 2, 4], 'int32') as tf.Tensor4D, options),
    ],
    [
      'either strides or dilations must be 1',
      () => im2winConv2d(x(), filter(), {...options, strides: 2, dilations: 2}),
    ],
    ['strides is 0', () => im2winConv2d(x(), filter(), {...options, strides: 0})],
    ["pad is 'around'", () => im2winConv2d(x(), filter(), {...options, pad: 'around' as 'same'})],
    [
      "activation is 'softmax'",
      () => im2winConv2d(x(), filter(), {...options, activation: 'softmax' as 'elu'}),
    ],
    [
      'preluActivationWeights is missing',
      () => im2winConv2d(x(), filter(), {...options, activation: 'prelu'}),
    ],
    ['bias has shape [3]', () => im2winConv2d(x(), filter(), {...options, bias: [1, 2, 3]})],
    [
      'residual has shape [1,5,5,3]; allowed: the output',
      () => im2winConv2d(x(), filter(), {...options, residual: tf.zeros([1, 5, 5, 3])}),
    ],
    [
      'residual has shape [1,1,1,4]; allowed: the output',
      () =>
        tf.grad((v) =>
          im2winConv2d(v as tf.Tensor4D, filter(), {...options, residual: tf.zeros([1, 1, 1, 4])}),
        )(x()),
    ],
    [
      'residual must have the rank of input, 4, but got rank 3',
      () => im2winConv2d(x(), filter(), {...options, residual: tf.zeros([5, 5, 4])}),
    ],
    [
      "'residual' passed to 'im2winConv2d' must be float32",
      () => im2winConv2d(x(), filter(), {...options, residual: tf.zeros([1, 5, 5, 4], 'int32')}),
    ],
    [
      'clipMax is NaN; allowed: a number.',
      () => im2winConv2d(x(), filter(), {...options, activation: 'clip', clipMax: Number.NaN}),
    ],
    ...Object.entries({
      "an option is 'activaton'; allowed: 'strides', 'pad'": {activaton: 'relu'},
      "leakyreluAlpha is 'x'; allowed: a number.": {activation: 'leakyrelu', leakyreluAlpha: 'x'},
      'leakyreluAlpha is NaN; allowed: a number.': {activation: 'leakyrelu', leakyreluAlpha: Number.NaN},
      "dataFormat is 'nhwc'; allowed: 'NHWC', 'NCHW'.": {dataFormat: 'nhwc'},
      "dimRoundingMode is 'up'; allowed: 'floor', 'round', 'ceil'.": {dimRoundingMode: 'up'},
      'residualAfterActivation is 1; allowed: true, false.': {residualAfterActivation: 1},
      "'bias' passed to 'im2winConv2d' must be float32 tensor, but got string tensor": {bias: 'x'},
    }).map(([message, own]): [string, () => unknown] => [
      message,
      () => im2winConv2d(x(), filter(), {...options, ...(own as object)}),
    ]),
  ])('%s', (message, call) => {
    expect(call).toThrow(message);
  });

  test('a backend without the kernel, and names those that have it', () => {
    tf.registerBackend('im2win-none', tf.findBackendFactory('cpu'));
    tf.setBackend('im2win-none');
    expect(() => im2winConv2d(x(), filter(), options)).toThrow(
      "backend 'im2win-none' has no Im2winConv2D; backends that have it: 'wasm', 'cpu'.",
    );
    tf.setBackend('cpu');
    tf.removeBackend('im2win-none');
  });
});
