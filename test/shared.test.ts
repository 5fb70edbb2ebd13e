// The kernels on a shared memory, as tfjs's threaded build has it. That build
// does not run in Node: a backend of the test's own stands in for it.
import type {DataId, DataType, TensorInfo} from '@tensorflow/tfjs-core';
import {kernelsOf} from '../bench/wasmState.ts';
import {convGeometry} from '../src/geometry.ts';
import {planConv} from '../src/plan.ts';
import {runConv2d} from '../src/wasm/conv2d.ts';
import {WasmState} from '../src/wasm/state.ts';
import type {TfjsWasmBackend, WasmData} from '../src/wasm/tfjs.ts';
import {convolve, sumError, winogradGrowth} from './reference.ts';
import {convCase, floats, size} from './tf.ts';

/** Hands out its memory from the bottom up, and never takes any back. */
function sharedBackend(memory: WebAssembly.Memory): TfjsWasmBackend {
  let next = 1024;
  const data = new Map<DataId, WasmData>();
  const backend: TfjsWasmBackend = {
    wasm: {
      HEAPU8: new Uint8Array(memory.buffer),
      wasmMemory: memory,
      _malloc: (bytes) => {
        const offset = next;
        next += bytes + 8;
        return offset;
      },
      _free: () => {},
    },
    dataIdMap: {get: (id) => data.get(id) as WasmData, has: (id) => data.has(id)},
    disposeData: (id) => data.delete(id),
    makeOutput: (shape: number[], dtype: DataType): TensorInfo => {
      const dataId = {};
      data.set(dataId, {memoryOffset: backend.wasm?._malloc(4 * size(shape)) ?? 0});
      return {dataId, shape, dtype};
    },
  };
  return backend;
}

test.each([
  ['im2win', 'strict'],
  ['im2win', 'relaxed'],
  ['winograd', 'strict'],
  ['winograd', 'relaxed'],
] as const)('%s, %s', async (algorithm, flavour) => {
  const memory = new WebAssembly.Memory({initial: 16, maximum: 32, shared: true});
  const backend = sharedBackend(memory);
  const state = WasmState.create(backend, await kernelsOf(flavour, true));
  if (typeof state === 'string') throw new Error(state);
  expect(state.heap.shared).toBe(true);
  const values = new Float32Array(memory.buffer);
  const place = (shape: readonly number[], seed: number) => {
    const tensor = backend.makeOutput([...shape], 'float32');
    values.set(floats(size(shape), seed), (backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0) / 4);
    return tensor;
  };
  const problem = convCase([2, 9, 11, 5], [3, 3, 5, 10], {pad: 'same', strides: [2, 1]});
  const x = place(problem.xShape, 1);
  const filter = place(problem.filterShape, 2);
  const geometry = convGeometry(problem.xShape, problem.filterShape, {strides: [2, 1], pad: 'same'});
  const plan = planConv(geometry, {backend: 'wasm', algorithm, winograd: true, flavour, threads: 1});
  if (plan.algorithm !== algorithm) throw new Error(`The plan is ${plan.algorithm}.`);
  const output = runConv2d(state, geometry, plan, {x, filter}, {activation: 'linear', leakyreluAlpha: 0});
  const at = (backend.dataIdMap.get(output.dataId).memoryOffset ?? 0) / 4;
  const {sums, magnitudes} = convolve(
    problem,
    floats(size(problem.xShape), 1),
    floats(size(problem.filterShape), 2),
  );
  // No input is larger than 1, and a channel has 45 filter values of at most 1.
  const tileError = algorithm === 'winograd' ? winogradGrowth(3, 3) * sumError(46 + 48, 45) : 0;
  sums.forEach((sum, i) => {
    expect(Math.abs(values[at + i] - sum)).toBeLessThanOrEqual(sumError(46, magnitudes[i]) + tileError);
  });
});
