// Matrix products: the values of a plain loop, whatever the shapes; the same bits on any number of threads; what is kept.
import {kernelsOf} from '../bench/wasmState.ts';
import {TFJS_ACTIVATIONS} from '../src/activation.ts';
import type {Call, Kernel, OwnRoute, Route} from '../src/family.ts';
import {type Flavour, type Im2winRegistration, registerIm2win} from '../src/index.ts';
import type {MatMulRecord} from '../src/matMul.ts';
import {TARGETS} from '../src/targets.generated.ts';
import {wasmMatMuls} from '../src/wasm/matMul.ts';
import {instantiateKernels, type KernelExports} from '../src/wasm/module.ts';
import {WasmState} from '../src/wasm/state.ts';
import {checkMatMul, expectMatMul, type MatMulCase, runMatMul, tensorsOf} from './matMulCases.ts';
import {sharedBackend} from './sharedBackend.ts';
import {floats, freshWasm, size, tf} from './tf.ts';

let registration: Im2winRegistration | undefined;

async function register(options: Parameters<typeof registerIm2win>[0] = {}): Promise<Im2winRegistration> {
  await freshWasm();
  registration = await registerIm2win({backends: ['wasm'], numThreads: 1, ...options});
  return registration;
}

afterEach(() => {
  registration?.unregister();
  registration = undefined;
});

const records = () =>
  (registration?.report({all: true}) ?? []).filter(({kernelName}) =>
    kernelName.endsWith('MatMul'),
  ) as MatMulRecord[];

/** A product of matrices, either of which may be given the other way round. */
function matMulCase(
  [rows, depth, columns]: readonly [number, number, number],
  {transposeA = false, transposeB = false, ...rest}: Partial<MatMulCase> = {},
  batch: readonly number[] = [],
): MatMulCase {
  return {
    aShape: [...batch, ...(transposeA ? [depth, rows] : [rows, depth])],
    bShape: [...batch, ...(transposeB ? [columns, depth] : [depth, columns])],
    transposeA,
    transposeB,
    ...rest,
  };
}

const BOTH = [false, true];
const TRANSPOSES = BOTH.flatMap((transposeA) => BOTH.map((transposeB) => ({transposeA, transposeB})));

/** Biases, or slopes, of every shape that broadcasts. */
const operandShapes = (rows: number, columns: number) => [
  [columns],
  [rows, columns],
  [1, columns],
  [rows, 1],
  [1],
  [],
  [1, rows, columns],
];

describe.each(['strict', 'relaxed'] as Flavour[])('%s', (simd) => {
  const {mr} = TARGETS[simd].tile;
  const ROWS = [1, 2, 3, 4, 7, 2 * mr, 2 * mr + 1, 3 * mr, 4 * mr - 1];
  const COLUMNS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 33];
  const DEPTHS = [1, 2, 3, 4, 5, 8, 13];

  test.each(TRANSPOSES)('every tail, %j', async (transposes) => {
    await register({simd});
    let seed = 0;
    for (const rows of ROWS) {
      for (const columns of COLUMNS) {
        for (const depth of DEPTHS) {
          const shapes = operandShapes(rows, columns);
          ++seed;
          const fused = seed % 3 !== 0;
          const activation = TFJS_ACTIVATIONS[seed % TFJS_ACTIVATIONS.length];
          checkMatMul(
            matMulCase(
              [rows, depth, columns],
              {
                ...transposes,
                seed,
                ...(fused ? {activation, biasShape: [undefined, ...shapes][seed % 8] as number[]} : {}),
                ...(fused && activation === 'prelu' ? {slopeShape: shapes[(seed >> 3) % 7]} : {}),
                // Shapes of rank 3 go with tensors of rank 3.
              },
              [1],
            ),
          );
        }
      }
    }
    const algorithms = new Set(records().map(({algorithm}) => algorithm));
    expect([...algorithms].sort()).toEqual(['gemm', 'gemv']);
  });

  test.each(TRANSPOSES)('NaN and infinities, %j', async (transposes) => {
    await register({simd});
    for (const [i, activation] of TFJS_ACTIVATIONS.entries()) {
      for (const [rows, depth, columns] of [
        [1, 9, 21],
        [5, 33, 18],
        [20, 17, 19],
        [30, 3, 1],
      ] as const) {
        checkMatMul(
          matMulCase([rows, depth, columns], {
            ...transposes,
            activation,
            seed: 5 + i,
            odd: true,
            biasShape: [columns],
            ...(activation === 'prelu' ? {slopeShape: [columns]} : {}),
          }),
        );
      }
    }
  });

  test.each([
    // Stripes, turns along a column, and blocks of rows.
    matMulCase([1, 50, 2100]),
    matMulCase([7, 37, 1300], {activation: 'elu', biasShape: [1300]}),
    matMulCase([3, 2500, 9], {transposeB: true, activation: 'sigmoid', biasShape: [3, 1]}),
    matMulCase([9, 2501, 9], {transposeA: true, transposeB: true}),
    matMulCase([1, 5003, 9], {transposeB: true, activation: 'relu', biasShape: [9]}),
    matMulCase([300, 700, 50], {activation: 'relu6', biasShape: [50]}),
    matMulCase([260, 70, 90], {
      transposeA: true,
      transposeB: true,
      activation: 'prelu',
      slopeShape: [260, 1],
    }),
    matMulCase([400, 300, 1], {activation: 'prelu', slopeShape: [400, 1], biasShape: [400, 1]}),
    matMulCase([400, 300, 1], {transposeA: true, activation: 'leakyrelu', biasShape: [1]}),
  ])('$aShape times $bShape', async (one) => {
    await register({simd});
    checkMatMul(one);
    expect(records()).toMatchObject([{calls: 1, algorithm: expect.stringMatching(/^gem[mv]$/)}]);
  });

  test.each([
    ['batches of their own', {aShape: [3, 20, 9], bShape: [3, 9, 11]}],
    ['few rows in batches', {aShape: [3, 4, 9], bShape: [3, 9, 300]}],
    [
      'few rows of columns in batches',
      {aShape: [3, 9, 4], bShape: [3, 300, 9], transposeA: true, transposeB: true},
    ],
    ['one b for all', {aShape: [4, 7, 9], bShape: [1, 9, 11]}],
    ['one b of a lower rank', {aShape: [2, 3, 7, 9], bShape: [9, 11]}],
    ['one b for all, of columns', {aShape: [4, 9, 30], bShape: [11, 9], transposeA: true, transposeB: true}],
    ['one a for all', {aShape: [20, 9], bShape: [5, 9, 11]}],
    ['one row for all', {aShape: [1, 9], bShape: [5, 9, 11]}],
    ['a column for each', {aShape: [5, 30, 9], bShape: [5, 9, 1]}],
    ['each of one with each of the other', {aShape: [2, 1, 20, 9], bShape: [1, 3, 9, 11]}],
    ['four dimensions', {aShape: [2, 1, 3, 1, 14, 5], bShape: [1, 4, 1, 2, 5, 7]}],
    ['an inner dimension for all', {aShape: [2, 3, 20, 9], bShape: [2, 1, 9, 11]}],
    [
      'a bias for each batch',
      {
        aShape: [3, 20, 9],
        bShape: [3, 9, 11],
        activation: 'prelu',
        biasShape: [3, 1, 11],
        slopeShape: [3, 20, 1],
      },
    ],
    [
      'a bias for each batch that shares b',
      {aShape: [3, 20, 9], bShape: [1, 9, 11], activation: 'prelu', biasShape: [3, 1, 11], slopeShape: [11]},
    ],
    [
      'a bias for each value of batches that share b',
      {aShape: [3, 20, 9], bShape: [1, 9, 11], activation: 'relu', biasShape: [3, 20, 11]},
    ],
  ] as [string, MatMulCase][])('batches: %s', async (_, one) => {
    await register({simd});
    checkMatMul(one);
    expect(records()).toMatchObject([{calls: 1, algorithm: expect.stringMatching(/^gem[mv]$/)}]);
  });

  test.each([
    ['packed batches', matMulCase([13, 250, 280], {}, [40])],
    ['packed columns', matMulCase([13, 700, 3300])],
    ['packed columns of columns', matMulCase([13, 701, 3301], {transposeB: true})],
    ['gathered rows', matMulCase([3100, 900, 10], {transposeA: true})],
    ['both', matMulCase([200, 12_000, 20], {transposeA: true})],
  ])('what is more than is packed and gathered at a time: %s', async (_, one) => {
    const {memory} = await register({simd});
    checkMatMul(one);
    expect(memory().workspaceBytes).toBeLessThan(9 * 2 ** 20);
    expect(memory().filterBytes).toBe(0);
  });

  test('tasks run in any order, and write nothing but their part', async () => {
    const memory = new WebAssembly.Memory({initial: 512, maximum: 512, shared: true});
    const modules = await kernelsOf(simd, true);
    const backend = sharedBackend(memory);
    const state = WasmState.create(backend, modules);
    if (typeof state === 'string') throw new Error(state);
    const instances = [0, 1, 2].map(() => instantiateKernels(modules, memory, true) as KernelExports);
    const family = wasmMatMuls(() => state);
    const values = new Float32Array(memory.buffer);
    const place = (shape: readonly number[], seed: number) => {
      const tensor = backend.makeOutput([...shape], 'float32');
      values.set(floats(size(shape), seed), (backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0) / 4);
      return tensor;
    };
    for (const one of [
      matMulCase([200, 60, 150], {transposeA: true, activation: 'relu', biasShape: [150]}),
      matMulCase([60, 64, 400], {transposeB: true}, [3]),
      matMulCase([3, 400, 2000], {activation: 'elu', biasShape: [2000]}),
      matMulCase([5, 1100, 700], {transposeA: true, transposeB: true}),
    ]) {
      const {aShape, bShape, biasShape, transposeA, transposeB, activation} = one;
      const kernel = family.kernels[activation === undefined ? 0 : 1] as Kernel;
      const call: Call = {
        inputs: {a: place(aShape, 1), b: place(bShape, 2), ...(biasShape ? {bias: place(biasShape, 3)} : {})},
        attrs: {transposeA, transposeB, activation},
        backend,
      };
      const route = family.plan(kernel, call, {
        algorithm: 'auto',
        winograd: true,
        target: simd,
      }) as OwnRoute<Route>;
      const compute = () => {
        const output = family.compute(kernel, call, route) as tf.TensorInfo;
        const at = (backend.dataIdMap.get(output.dataId).memoryOffset ?? 0) / 4;
        return new Uint32Array(memory.buffer, 4 * at, size(output.shape)).slice();
      };
      const serial = compute();
      let most = 0;
      // One by one, from the last to the first, each with a scratch that holds anything.
      const shuffled: WasmState = Object.create(state, {
        threadsFor: {value: () => 3},
        scratchesFor: {value: () => 3},
        run: {
          value: (
            _: number,
            {kernel: entry, job, first, last, scratch, scratchBytes}: Parameters<WasmState['run']>[1],
          ) => {
            most = Math.max(most, last - first);
            for (let task = last - 1; task >= first; --task) {
              const own = scratch + (task % 3) * scratchBytes;
              values.fill(Number.NaN, own / 4, (own + scratchBytes) / 4);
              instances[task % 3][entry](job, task, task + 1, own);
            }
          },
        },
      });
      const other = wasmMatMuls(() => shuffled);
      const output = other.compute(kernel, call, route) as tf.TensorInfo;
      const at = backend.dataIdMap.get(output.dataId).memoryOffset ?? 0;
      expect(most).toBeGreaterThan(3);
      expect(Buffer.from(memory.buffer, at, 4 * size(output.shape)).equals(Buffer.from(serial.buffer))).toBe(
        true,
      );
    }
  });
});

test.each([1, 20])('threads, %d rows', async (rows) => {
  await freshWasm();
  // Not started yet: registerIm2win has it start on a shared heap.
  const factory = tf.findBackendFactory('wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory);
  registration = await registerIm2win({backends: ['wasm'], numThreads: 3});
  await tf.setBackend('wasm');
  const one = matMulCase([rows, 2000, 1500], {activation: 'relu', biasShape: [1500]});
  const tensors = tensorsOf(one);
  const bits = [1, 3, 3, 1].map((threads) => {
    registration?.setNumThreads(threads);
    const output = runMatMul(one, tensors);
    const {buffer, byteOffset, byteLength} = output.dataSync<'float32'>();
    return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
  });
  for (const other of bits.slice(1)) expect(other === bits[0]).toBe(true);
});

describe('memory', () => {
  const PANEL_BYTES = 4 * 768 * 72;
  const one = matMulCase([64, 768, 70]);

  test('b is packed at its first use, and kept at its second', async () => {
    const {memory} = await register();
    const {a, b} = tensorsOf(one);
    const run = () => tf.matMul(a, b).dispose();
    run();
    expect(memory().filterBytes).toBe(0);
    for (let i = 0; i < 3; ++i) run();
    expect(memory().filterBytes).toBe(PANEL_BYTES);
    expectMatMul(runMatMul(one, {a, b}), one, {a, b});
    b.dispose();
    expect(memory().filterBytes).toBe(0);
  });

  test.each([
    ['few rows', matMulCase([8, 768, 70]), {}],
    ['so many rows that packing takes no time', matMulCase([2000, 76, 70]), {}],
    ['what stock packs none of', matMulCase([64, 76, 70], {transposeB: true}), {}],
    ['a batch', matMulCase([64, 76, 70], {}, [2]), {}],
    ['what the option forbids', one, {maxPackedFilterBytes: PANEL_BYTES - 1}],
  ] as [string, MatMulCase, object][])('nothing is kept: %s', async (_, other, options) => {
    const {memory} = await register(options);
    const tensors = tensorsOf(other);
    for (let i = 0; i < 3; ++i) runMatMul(other, tensors);
    expect(memory().filterBytes).toBe(0);
    expectMatMul(runMatMul(other, tensors), other, tensors);
  });

  test('what the option allows is kept', async () => {
    const {memory} = await register({maxPackedFilterBytes: 2 ** 20});
    const other = matMulCase([64, 76, 70], {transposeB: true});
    const tensors = tensorsOf(other);
    for (let i = 0; i < 2; ++i) runMatMul(other, tensors);
    expect(memory().filterBytes).toBe(4 * 76 * 72);
  });

  test('every tensor and every byte is given back', async () => {
    const {memory, unregister} = await register();
    const before = tf.memory();
    const ids = (tf.backend() as tf.KernelBackend).numDataIds();
    for (const other of [one, matMulCase([3, 40, 50]), matMulCase([30, 40, 50], {transposeA: true})]) {
      for (let i = 0; i < 3; ++i) checkMatMul(other);
    }
    expect(tf.memory()).toEqual(before);
    expect((tf.backend() as tf.KernelBackend).numDataIds()).toBe(ids);
    unregister();
    expect(memory().ownBytes).toBe(0);
  });
});

describe('ours or stock', () => {
  test('a record', async () => {
    await register();
    const a = tf.ones([3, 4]) as tf.Tensor2D;
    const b = tf.ones([5, 4]) as tf.Tensor2D;
    const bias = tf.ones([5]) as tf.Tensor1D;
    const run = () => tf.fused.matMul({a, b, transposeB: true, bias, activation: 'relu'});
    expect([...run().dataSync()]).toEqual(Array(15).fill(5));
    registration?.setAlgorithm('stock');
    run();
    const common = {
      kernelName: '_FusedMatMul',
      backend: 'wasm',
      inputShapes: [
        [1, 3, 4],
        [1, 5, 4],
      ],
      dtype: 'float32',
      transposeA: false,
      transposeB: true,
      activation: 'relu',
      bias: true,
      calls: 1,
    };
    expect(records()).toEqual([
      {...common, outputShapes: [[1, 3, 5]], algorithm: 'gemv'},
      {...common, outputShapes: [], algorithm: 'stock', reason: "algorithm 'stock' was asked for"},
    ]);
    expect(registration?.report()).toEqual([]);
  });

  test("what is not ours gets tfjs's own error", async () => {
    await register();
    const int = tf.ones([2, 2], 'int32');
    expect(() => tf.matMul(int, int)).toThrow('BatchMatMul for non non-float32 tensors not yet supported.');
    expect(() => tf.matMul(tf.ones([2, 3]), tf.ones([2, 3]))).toThrow(
      'Error in matMul: inner shapes (3) and (2)',
    );
    expect(() => tf.matMul(tf.ones([2, 2, 3]), tf.ones([3, 3, 2]))).toThrow();
    expect(records().map(({algorithm, reason}) => [algorithm, reason])).toEqual([
      ['stock', 'a has dtype int32'],
      ['stock', 'the shapes are not those of a product'],
      ['stock', 'the shapes are not those of a product'],
    ]);
  });

  test.each([
    [
      [0, 3],
      [3, 4],
      [0, 4],
    ],
    [
      [2, 3],
      [3, 0],
      [2, 0],
    ],
    [
      [0, 2, 3],
      [0, 3, 4],
      [0, 2, 4],
    ],
    [
      [0, 2, 3],
      [1, 3, 4],
      [0, 2, 4],
    ],
  ])('[%s] times [%s] is empty', async (aShape, bShape, shape) => {
    await register();
    const output = tf.matMul(tf.ones(aShape), tf.ones(bShape));
    expect([output.shape, [...output.dataSync()]]).toEqual([shape, []]);
  });

  test('what fits in no heap is refused, whoever was to compute it', async () => {
    await register();
    for (const algorithm of ['auto', 'stock'] as const) {
      registration?.setAlgorithm(algorithm);
      expect(() => tf.matMul(tf.ones([2 ** 16, 1]), tf.ones([1, 2 ** 16]))).toThrow(
        'im2win: tf.matMul: an output of shape [65536,65536] takes 17179869184 bytes; allowed: less than 4294967296',
      );
    }
  });

  test('a product of nothing is its epilogue', async () => {
    await register();
    for (const rows of [2, 30]) {
      checkMatMul({aShape: [rows, 0], bShape: [0, 5], activation: 'sigmoid', biasShape: [5]});
      checkMatMul({aShape: [rows, 0], bShape: [0, 5]});
    }
  });

  test('slopes may be integers', async () => {
    await register();
    const one: MatMulCase = {aShape: [4, 5], bShape: [5, 6], activation: 'prelu'};
    const tensors = {...tensorsOf(one), preluActivationWeights: tf.tensor1d([1, 2, 3, -1, 0, 5], 'int32')};
    expectMatMul(runMatMul(one, tensors), one, tensors);
    const bools = {...tensors, preluActivationWeights: tf.tensor1d([1, 0, 1, 1, 0, 1], 'bool')};
    expectMatMul(runMatMul(one, bools), one, bools);
  });
});
