// The kernels on a shared memory, as tfjs's threaded build has it.
import {kernelsOf, runPlan} from '../bench/wasmState.ts';
import {convGeometry} from '../src/geometry.ts';
import {planFull} from '../src/planner.ts';
import {WasmState} from '../src/wasm/state.ts';
import {convolve, sumError, winogradGrowth} from './reference.ts';
import {sharedBackend} from './sharedBackend.ts';
import {convCase, floats, size} from './tf.ts';

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
  const plan = planFull(geometry, {target: flavour, algorithm, winograd: true});
  if (plan.algorithm !== algorithm) throw new Error(`The plan is ${plan.algorithm}.`);
  const output = runPlan(state, {geometry, plan, activation: 'linear'}, {x, filter, alpha: 0});
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
