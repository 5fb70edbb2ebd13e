// Kernels that move data: the bits, shapes and dtypes of tfjs's cpu backend.
import {getKernel} from '@tensorflow/tfjs-core';
import {AROUND_KERNELS, type AroundRecord} from '../src/around.ts';
import {BLOCK_KERNELS} from '../src/blockKernels.ts';
import {type Im2winOptions, type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {MOVE_KERNELS} from '../src/moveKernels.ts';
import {type AroundCase, expectOutcome, operand} from './aroundCases.ts';
import {expectFailure, expectReplaced, isLeft} from './aroundRegistered.ts';
import {BLOCK_CASES} from './blockCases.ts';
import {MOVE_CASES} from './moveCases.ts';
import {sweepCases} from './sweepCases.ts';
import {currentWasm, freshWasm, size, tf} from './tf.ts';

sweepCases({
  cases: {...MOVE_CASES, ...BLOCK_CASES},
  reasons: [
    'there is nothing to compute',
    'tfjs makes a tensor of the same data',
    'more than 6 dimensions',
    'a dimension has more than 1024 pieces',
  ],
  compare: expectOutcome,
});

describe('registered', () => {
  let registration: Im2winRegistration | undefined;
  const register = async (options?: Im2winOptions) => {
    registration = await registerIm2win({numThreads: 1, ...options});
    return registration;
  };
  beforeEach(() => freshWasm());
  afterEach(() => registration?.unregister());

  const pair = () => tf.concat([tf.tensor1d([1, 2]), tf.tensor1d([3])]);

  test('the kernels are replaced, and restored exactly', async () => {
    await expectReplaced([...MOVE_KERNELS, ...BLOCK_KERNELS], () => {
      expect([...pair().dataSync()]).toEqual([1, 2, 3]);
    });
  });

  test("they are left out by kernels: 'convolutions'", async () => {
    const kernels = () => AROUND_KERNELS.map(({name}) => getKernel(name, 'wasm'));
    const stock = kernels();
    const {report} = await register({kernels: 'convolutions'});
    for (const [i, kernel] of kernels().entries()) expect(kernel).toBe(stock[i]);
    pair();
    tf.conv2d(tf.ones([1, 3, 3, 1]) as tf.Tensor4D, tf.ones([2, 2, 1, 1]) as tf.Tensor4D, 1, 'valid');
    expect(report({all: true})).toEqual(report());
    await expect(registerIm2win({kernels: 'all'})).rejects.toThrow(
      "kernels is 'all', but im2win is registered with 'convolutions'",
    );
  });

  test('report() shows them where it is asked to', async () => {
    const {report, setAlgorithm, status} = await register();
    pair();
    pair();
    setAlgorithm('stock');
    pair();
    const record = {
      kernelName: 'Concat',
      backend: 'wasm',
      inputShapes: [[2], [1]],
      dtype: 'float32',
    };
    expect(report()).toEqual([]);
    expect(report({all: false})).toEqual([]);
    expect(report({all: true})).toEqual([
      {...record, outputShapes: [[3]], algorithm: 'copy', calls: 2},
      {
        ...record,
        outputShapes: [],
        algorithm: 'stock',
        reason: "algorithm 'stock' was asked for",
        calls: 1,
      },
    ]);
    for (const one of report({all: true})) {
      // Its fields tell TypeScript which record it is.
      if (!('inputShapes' in one) || 'transposeA' in one) throw new Error(`${one.kernelName} is no move`);
      const {inputShapes, dtype}: AroundRecord = one;
      expect([inputShapes, dtype]).toEqual([[[2], [1]], 'float32']);
      expect('xShape' in one).toBe(false);
    }
    expect(status()).toContain('Distinct convolutions seen: 0 routed');
    expect(() => report({all: 1 as unknown as true})).toThrow('report: all is 1; allowed: true, false.');
    expect(() => report({every: true} as object)).toThrow("report: an option is 'every'; allowed: 'all'.");
    expect(() => report('all' as unknown as object)).toThrow("report: options is 'all'; allowed: an object.");
  });

  test('an option that is not allowed is refused', async () => {
    await expect(registerIm2win({kernels: 'moves' as 'all'})).rejects.toThrow(
      "registerIm2win: kernels is 'moves'; allowed: 'all', 'convolutions'.",
    );
  });

  test('what tfjs copies as fast is left to it, uncounted', async () => {
    const {report} = await register();
    for (const count of [1, 5000]) {
      const x = tf.fill([count, 1], 2.5);
      tf.zerosLike(x);
      tf.onesLike(x);
      tf.transpose(x);
      tf.cast(x.clone(), 'float32');
    }
    tf.cast(tf.ones([100]), 'int32');
    expect(report({all: true})).toEqual([]);
    expect([...tf.cast(tf.tensor1d([0, 0.5, -2, Number.NaN]), 'bool').dataSync()]).toEqual([0, 1, 1, 1]);
    expect(report({all: true})).toMatchObject([{kernelName: 'Cast', algorithm: 'cast'}]);
  });

  test.each([
    ['Identity', [4097, 1], {}, true],
    ['Identity', [4096, 1], {}, false],
    ['Transpose', [4097, 1], {perm: [1, 0]}, true],
    ['Cast', [513], {dtype: 'int32'}, true],
    ['Cast', [512], {dtype: 'int32'}, false],
    ['Cast', [1], {dtype: 'bool'}, true],
    ['Slice', [1], {begin: 0, size: 1}, true],
  ] as [string, number[], object, boolean][])(
    '%s of [%s] %j on a shared memory',
    (kernelName, shape, attrs, taken) => {
      expect(isLeft({kernelName, inputs: {x: operand(shape)}, attrs}, true)).toBe(!taken);
    },
  );

  test('slices that differ in their begin alone are one route', async () => {
    const {report, memory} = await register();
    const x = tf.reshape(tf.range(0, 60), [3, 20]);
    const bytes: number[] = [];
    for (let i = 0; i < 18; ++i) {
      expect([...tf.slice(x, [1, i], [2, 3]).dataSync()]).toEqual([20, 21, 22, 40, 41, 42].map((v) => v + i));
      bytes.push(memory().ownBytes);
    }
    expect(report({all: true})).toMatchObject([{kernelName: 'Slice', calls: 18}]);
    expect(new Set(bytes).size).toBe(1);
  });

  test('however many there are, convolutions keep their routes, and the heap its size', async () => {
    const {report, memory} = await register();
    const x = tf.ones([1, 3, 3, 1]) as tf.Tensor4D;
    const filter = tf.ones([2, 2, 1, 1]) as tf.Tensor4D;
    const convolve = () => tf.dispose(tf.conv2d(x, filter, 1, 'valid'));
    const tiles = () =>
      tf.tidy(() => {
        for (let i = 1; i <= 1001; ++i) tf.tile(tf.ones([i]), [2]);
      });
    convolve();
    tiles();
    const {ownBytes} = memory();
    tiles();
    convolve();
    expect(report()).toMatchObject([{calls: 2}]);
    expect(report({all: true})).toHaveLength(1001);
    expect(memory().ownBytes).toBe(ownBytes);
  });

  test('outputs have data of their own', async () => {
    await register();
    const x = tf.reshape(tf.range(0, 6000), [2, 3000]);
    const outputs = [x.clone(), tf.slice(x, [0, 0], [2, 3000]), tf.tile(x, [1, 1]), ...tf.split(x, 1)];
    expect(new Set([x, ...outputs].map(({dataId}) => dataId)).size).toBe(outputs.length + 1);
    const expected = [...x.dataSync()];
    x.dispose();
    for (const output of outputs) expect([...output.dataSync()]).toEqual(expected);
  });

  test.each([
    ['Slice', {x: operand([3, 4])}, {begin: [0, -1], size: [1, 1]}],
    ['Slice', {x: operand([3, 4])}, {begin: [0, 0], size: [1, -2]}],
    ['SplitV', {x: operand([3, 4])}, {numOrSizeSplits: 3, axis: 1}],
    ['SplitV', {x: operand([3, 4])}, {numOrSizeSplits: [1, 1], axis: 1}],
    ['SplitV', {x: operand([3, 4])}, {numOrSizeSplits: 2, axis: 2}],
    ['Concat', [operand([3, 4]), operand([3, 4])], {axis: 2}],
    ['Concat', [operand([3, 4]), operand([2, 4])], {axis: 1}],
    ['Concat', [operand([3, 4]), operand([4])], {axis: 0}],
    ['Pack', [operand([3, 4]), operand([2, 4])], {axis: 0}],
    ['Pack', [operand([4]), operand([4], 'int32')], {axis: 0}],
    ['StridedSlice', {x: operand([3, 4])}, {begin: [0, 0], end: [3, 4], strides: [1, 0]}],
    ['StridedSlice', {x: operand([3])}, {begin: [5], end: [6], strides: [1], shrinkAxisMask: 1}],
    ['Cast', {x: operand([3])}, {dtype: 'complex64'}],
    ['Transpose', {}, {perm: [0]}],
    ['Slice', {}, {begin: [0], size: [1]}],
    ['Concat', [], {axis: 0}],
    ['Tile', {x: operand([3])}, undefined],
    ['SpaceToBatchND', {x: operand([1, 3, 3])}, {blockShape: [2]}],
    ['BatchToSpaceND', {x: operand([4, 3])}, {blockShape: [2]}],
  ] as [string, AroundCase['inputs'], object | undefined][])(
    '%s %j %j fails as by tfjs',
    async (kernelName, inputs, attrs) => expectFailure({kernelName, inputs, attrs}, await register()),
  );

  test.each([1, 2, 3, 4])(
    'DepthToSpace of NCHW, which the cpu backend lacks, in blocks of %d',
    async (block) => {
      const {report} = await register();
      for (const shape of [
        [1, 1, 1],
        [2, 3, 5],
        [1, 18, 7],
      ]) {
        await tf.setBackend('cpu');
        const x = tf.tidy(() => tf.range(0, size([...shape, 3 * block ** 2])));
        const [images, height, width] = shape;
        const own = [images, 3 * block ** 2, height, width];
        const attrs = {blockSize: block, dataFormat: 'NHWC'};
        const expected = tf.tidy(() => {
          const last = tf.transpose(tf.reshape(x, own), [0, 2, 3, 1]);
          const moved = tf.engine().runKernel('DepthToSpace', {x: last}, attrs) as tf.Tensor;
          return tf.transpose(moved, [0, 3, 1, 2]).arraySync();
        });
        await tf.setBackend('wasm');
        const got = tf.tidy(() => {
          const moved = tf
            .engine()
            .runKernel('DepthToSpace', {x: tf.reshape(x, own)}, {...attrs, dataFormat: 'NCHW'}) as tf.Tensor;
          return moved.arraySync();
        });
        expect(got).toEqual(expected);
        x.dispose();
      }
      const records = report({all: true}).filter(({kernelName}) => kernelName === 'DepthToSpace');
      expect(records.map(({algorithm}) => algorithm)).toEqual(['block', 'block', 'block']);
    },
  );

  test('strings are left to tfjs', async () => {
    const {report} = await register();
    const words = tf.tensor1d(['a', 'b', 'c']);
    expect(tf.concat([words, words]).dataSync()).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
    expect(tf.slice(words, [1], [2]).dataSync()).toEqual(['b', 'c']);
    expect(report({all: true})).toMatchObject([
      {algorithm: 'stock', reason: 'a tensor has dtype string'},
      {algorithm: 'stock', reason: 'a tensor has dtype string'},
    ]);
  });

  test('out of memory, nothing is kept', async () => {
    const {memory} = await register();
    const x = tf.ones([2, 400]);
    const parts = () => tf.split(x, 4, 1);
    tf.dispose(parts());
    const backend = currentWasm();
    const dataIds = (tf.backend() as tf.KernelBackend).numDataIds();
    const {ownBytes} = memory();
    const wasm = backend.wasm as NonNullable<typeof backend.wasm>;
    const {_malloc} = wasm;
    let left = 2;
    wasm._malloc = (bytes) => (left-- > 0 ? _malloc(bytes) : 0);
    expect(parts).toThrow('out of memory: an output of shape [2,100]');
    wasm._malloc = _malloc;
    expect((tf.backend() as tf.KernelBackend).numDataIds()).toBe(dataIds);
    expect(memory().ownBytes).toBe(ownBytes);
    expect(parts().map((part) => part.dataSync()[199])).toEqual([1, 1, 1, 1]);
  });
});
