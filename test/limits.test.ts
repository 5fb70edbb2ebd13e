// What is too large, too far apart, or no shape at all: an error that says so, before anything is
// changed. `npm run test:limits` sweeps many more, each in a process of its own.
import {AROUND_KERNELS} from '../src/around.ts';
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {checkGradients} from './gradientCheck.ts';
import {
  convCase,
  currentWasm,
  depthwiseCase,
  depthwiseOperandsOf,
  expectConvolution,
  floats,
  freshBackend,
  LINEAR,
  runConv,
  tf,
} from './tf.ts';

let registration: Im2winRegistration;

async function start(backend: 'wasm' | 'cpu') {
  await freshBackend(backend);
  registration = await registerIm2win({backends: [backend]});
}
afterEach(() => registration.unregister());

/** Runs what has to fail, and checks that nothing else has changed. */
function expectRefused(run: () => unknown, message: string) {
  const values = floats(10_000, 1);
  const others = [tf.tensor1d(values), tf.tensor1d(values)];
  const state = () => ({tfjs: tf.memory().numTensors, filters: registration.memory().filterBytes});
  const before = state();
  expect(() => tf.tidy(() => void run())).toThrow(message);
  expect(state()).toEqual(before);
  for (const other of others) expect(other.dataSync()).toEqual(values);
  const problem = convCase([1, 9, 9, 4], [3, 3, 4, 8], {pad: 'same'});
  const operands = {
    x: tf.tensor4d(floats(324, 2), [1, 9, 9, 4]),
    filter: tf.tensor4d(floats(288, 3), [3, 3, 4, 8]),
  };
  expectConvolution(runConv('Conv2D', problem, LINEAR, operands), problem, LINEAR, operands, 'winograd');
}

const ones = (...shape: [number, number, number, number]) => tf.ones(shape) as tf.Tensor4D;

describe('on wasm', () => {
  beforeEach(() => start('wasm'));

  test('an output of 4 GiB', () => {
    const x = ones(1, 4096, 4096, 1);
    expectRefused(
      () => tf.conv2d(x, ones(3, 3, 1, 64), 1, 'same'),
      'im2win: tf.conv2d: an output of shape [1,4096,4096,64] takes 4294967296 bytes; allowed: less than 4294967296',
    );
    expectRefused(
      () => tf.depthwiseConv2d(x, ones(3, 3, 1, 65), 1, 'same'),
      'im2win: tf.depthwiseConv2d: an output of shape [1,4096,4096,65] takes 4362076160 bytes',
    );
  });

  test('a transposed convolution of 4 GiB, and of a shape beyond counting', () => {
    const run = (...shape: [number, number, number, number]) =>
      tf.conv2dTranspose(ones(1, 1, 1, 1), ones(1, 1, 1, 1), shape, 65536, 'same');
    expectRefused(
      () => run(1, 65536, 16384, 1),
      'im2win: tf.conv2dTranspose: an output of shape [1,65536,16384,1] takes 4294967296 bytes',
    );
    expectRefused(() => run(1, 2 ** 40, 2 ** 40, 1), 'an output of shape [1,1099511627776,1099511627776,1]');
  });

  const [column, row] = [
    [65536, 1],
    [1, 16384],
  ];
  const sides = [
    [0, 65535],
    [0, 16383],
  ];
  const image = [1, 1, 1, 1];
  test.each<[string, Record<string, readonly number[]>, object, number]>([
    ['tf.add', {a: column, b: row}, {}, 2 ** 32],
    ['tf.mul', {a: [65537, 1], b: row}, {}, 2 ** 32 + 2 ** 16],
    // Booleans of a byte each.
    ['tf.equal', {a: column, b: [1, 65536]}, {}, 2 ** 32],
    ['tf.prelu', {x: column, alpha: row}, {}, 2 ** 32],
    ['tf.pad', {x: [1, 1]}, {paddings: sides, constantValue: 1}, 2 ** 32],
    ['tf.tile', {x: [4]}, {reps: [2 ** 30]}, 2 ** 34],
    ['tf.image.resizeBilinear', {images: image}, {size: [65536, 16384]}, 2 ** 32],
    ['tf.image.resizeNearestNeighbor', {images: image}, {size: [2 ** 20, 2 ** 20]}, 2 ** 42],
    ['tf.spaceToBatchND', {x: image}, {blockShape: [1, 1], paddings: sides}, 2 ** 32],
    ['tf.matMul', {a: column, b: row}, {transposeA: false, transposeB: false}, 2 ** 32],
  ])('an output of %s of 4 GiB', (op, inputs, attrs, bytes) => {
    const kernel = [...AROUND_KERNELS, {name: 'BatchMatMul', op: 'tf.matMul'}].find((own) => own.op === op);
    const tensors = Object.fromEntries(
      Object.entries(inputs).map(([name, shape]) => [name, tf.zeros([...shape])]),
    );
    expectRefused(
      () => tf.engine().runKernel(kernel?.name ?? '', tensors, attrs as tf.NamedAttrMap),
      `takes ${bytes} bytes; allowed: less than 4294967296`,
    );
  });

  test('blocks of more indices than a record is to have are left to tfjs', () => {
    const x = tf.tensor4d(floats(2 ** 13, 1), [1, 2 ** 13, 1, 1]);
    const batches = tf.spaceToBatchND(x, [2 ** 13, 1], [[0, 0], [0, 0]]); // biome-ignore format: one line
    const back = tf.batchToSpaceND(batches, [2 ** 13, 1], [[0, 0], [0, 0]]); // biome-ignore format: one line
    for (const own of [batches, back]) expect(own.dataSync()).toEqual(x.dataSync());
    const records = registration
      .report({all: true})
      .filter(({kernelName}) => /BatchND|ToSpaceND/.test(kernelName));
    expect(records.map(({algorithm}) => algorithm)).toEqual(['stock', 'stock']);
  });

  test('an output that no heap has room for any more', () => {
    const {wasm} = currentWasm();
    const ballast = wasm?._malloc(2 ** 30) ?? 0;
    const x = ones(1, 2048, 2048, 1);
    expectRefused(() => tf.conv2d(x, ones(1, 1, 1, 255), 1, 'same'), 'does not fit');
    wasm?._free(ballast);
  });

  test.each([
    [() => tf.conv2d(ones(1, 4, 5, 2), ones(3, 3, 2, 1), 2 ** 30, 2 ** 31), 'tf.conv2d'],
    [
      () => tf.conv2dTranspose(ones(1, 1, 1, 2), ones(3, 3, 1, 2), [1, 4, 5, 1], 2 ** 31, 'same'),
      'tf.conv2dTranspose',
    ],
  ])('rows and columns that leave 32 bits: %s', (run, op) => {
    expectRefused(run, `im2win: ${op}: strides [`);
    expectRefused(run, 'allowed: less than 2147483648');
  });
});

describe.each(['wasm', 'cpu'] as const)('on %s', (backend) => {
  beforeEach(() => start(backend));

  test.each([
    [1, -1, 4, 1],
    [1, 4, 4.5, 1],
    [-1, 4, 4, 1],
    [1, Number.NaN, 4, 1],
  ])('a transposed convolution of shape %s, %s, %s, %s', (...shape) => {
    const run = () =>
      tf.conv2dTranspose(
        ones(1, 2, 2, 1),
        ones(2, 2, 1, 1),
        shape as [number, number, number, number],
        2,
        'same',
      );
    expectRefused(run, `im2win: tf.conv2dTranspose: outputShape is shape [${shape}]; allowed: integers`);
    registration.setAlgorithm('stock');
    expect(run).toThrow('im2win: tf.conv2dTranspose: outputShape is');
    registration.setAlgorithm('auto');
  });

  test('far apart, small, and right', () => {
    for (const [stride, pad] of [
      [2 ** 20, 3],
      [2 ** 28, 2 ** 28],
      [2 ** 16, 2 ** 16],
    ]) {
      const problem = convCase([1, 5, 6, 3], [3, 3, 3, 4], {strides: [stride, stride], pad});
      const operands = {
        x: tf.tensor4d(floats(90, 2), [1, 5, 6, 3]),
        filter: tf.tensor4d(floats(108, 3), [3, 3, 3, 4]),
      };
      for (const format of ['NHWC', 'NCHW'] as const) {
        expectConvolution(
          runConv('Conv2D', problem, LINEAR, operands, format),
          problem,
          LINEAR,
          operands,
          'winograd',
        );
      }
    }
    for (const dilation of [3, 64, 2000, 2 ** 20, 2 ** 30, 2 ** 32]) {
      for (const pad of ['same', 2 * dilation] as const) {
        const problem = convCase([1, 5, 6, 3], [3, 3, 3, 4], {dilations: [dilation, dilation], pad});
        if (problem.outHeight * problem.outWidth > 1e6) continue;
        const operands = {
          x: tf.tensor4d(floats(90, 2), [1, 5, 6, 3]),
          filter: tf.tensor4d(floats(108, 3), [3, 3, 3, 4]),
        };
        for (const format of ['NHWC', 'NCHW'] as const) {
          const output = runConv('Conv2D', problem, LINEAR, operands, format);
          expectConvolution(output, problem, LINEAR, operands);
        }
      }
    }
    expect(registration.memory().ownBytes).toBeLessThan(2 ** 20);
  });

  test('depthwise, as far apart', () => {
    for (const dilation of [3, 2000, 2 ** 30, 2 ** 32]) {
      const problem = depthwiseCase([1, 4, 5, 2], [3, 3, 2, 2], {
        dilations: [dilation, dilation],
        pad: 'same',
      });
      const {full, operands} = depthwiseOperandsOf(problem, LINEAR, 1);
      for (const format of ['NHWC', 'NCHW'] as const) {
        const output = runConv('DepthwiseConv2dNative', problem, LINEAR, operands, format);
        expectConvolution(output, problem, LINEAR, full);
      }
    }
  });

  // Most taps see nothing but padding.
  test('a filter that is larger than its image', () => {
    for (const pad of ['same', 40] as const) {
      const problem = convCase([1, 5, 6, 3], [64, 33, 3, 4], {pad});
      const operands = {
        x: tf.tensor4d(floats(90, 2), [1, 5, 6, 3]),
        filter: tf.tensor4d(floats(64 * 33 * 12, 3), [64, 33, 3, 4]),
      };
      for (const algorithm of ['im2win', 'winograd'] as const) {
        registration.setAlgorithm(algorithm);
        for (const format of ['NHWC', 'NCHW'] as const) {
          const output = runConv('Conv2D', problem, LINEAR, operands, format);
          expectConvolution(output, problem, LINEAR, operands, algorithm);
        }
      }
      checkGradients(problem, false, true);
      if (backend === 'wasm') checkGradients(convCase([1, 5, 6, 3], [64, 33, 3, 2], {pad}), true);
      const each = depthwiseCase([1, 5, 6, 3], [64, 33, 3, 1], {pad});
      const {full, operands: own} = depthwiseOperandsOf(each, LINEAR, 1);
      expectConvolution(runConv('DepthwiseConv2dNative', each, LINEAR, own), each, LINEAR, full);
    }
  });

  test('empty, and as long as can be', () => {
    const long = tf.zeros([1, 2 ** 28, 0, 1]) as tf.Tensor4D;
    expect(tf.conv2d(long, ones(1, 1, 1, 2), 1, 'same').shape).toEqual([1, 2 ** 28, 0, 2]);
    const wide = tf.zeros([2 ** 30, 0, 2 ** 20, 3]) as tf.Tensor4D;
    expect(tf.depthwiseConv2d(wide, ones(3, 3, 3, 1), 1, 'same').shape).toEqual([2 ** 30, 0, 2 ** 20, 3]);
    const dy = tf.zeros([2 ** 30, 0, 1, 3]) as tf.Tensor4D;
    expect(tf.conv2dTranspose(dy, ones(3, 3, 2, 3), [2 ** 30, 0, 1, 2], 1, 'same').size).toBe(0);
  });

  // A plan for each residue of a stride would be 160,000 plans here.
  test.each([
    convCase([1, 600, 600, 1], [400, 400, 1, 1], {strides: [400, 400], pad: 'same'}),
    convCase([2, 90, 70, 3], [64, 64, 3, 2], {strides: [32, 32], pad: 'same'}),
    convCase([1, 300, 1, 2], [64, 1, 2, 5], {strides: [16, 1], pad: 'same'}),
    convCase([1, 1, 301, 2], [1, 64, 2, 5], {strides: [1, 17], pad: 3}),
    convCase([1, 40, 50, 3], [2, 3, 3, 4], {strides: [7, 9]}),
    convCase([1, 37, 41, 2], [11, 11, 2, 3], {strides: [5, 4], pad: 2}),
  ])('strides as wide as they like: $name', (problem) => checkGradients(problem, false, true));
});

test('a route of a transposed convolution keeps little, whatever its strides', async () => {
  await start('wasm');
  const {planGradient} = await import('../src/gradientPlan.ts');
  const {convGeometry} = await import('../src/geometry.ts');
  for (const stride of [1, 2, 3, 31, 32, 400, 4096]) {
    const geometry = convGeometry([1, 5 * stride + 3, 4 * stride + 1, 2], [stride + 1, stride + 2, 2, 3], {
      strides: stride,
      pad: 'same',
    });
    const plan = planGradient(geometry, 'input', {target: 'relaxed', algorithm: 'auto', winograd: true});
    // All plans share one target.
    const own = JSON.stringify(plan, (key, value) => (key === 'target' ? value.name : value));
    expect(own.length).toBeLessThan(20_000);
  }
});
