import type {TensorInfo} from '@tensorflow/tfjs-core';
import {floatBytes} from '../limits.ts';
import {aligned, type Heap} from './heap.ts';
import {JOB} from './job.generated.ts';
import type {ConvJob} from './job.ts';
import type {WasmState} from './state.ts';
import {dataOffset, makeOutput} from './tensors.ts';

export interface ConvTensors {
  readonly x: TensorInfo;
  readonly filter: TensorInfo;
  readonly bias?: TensorInfo;
  /** Slopes of prelu. */
  readonly slope?: TensorInfo;
  readonly residual?: TensorInfo;
  /** The slope of leakyrelu. */
  readonly alpha: number;
}

/**
 * Runs a convolution's job on the wasm backend's heap.
 *
 * @returns A new float32 tensor of the geometry's `outShape`.
 * @throws Error if out of memory; what the call had taken is given back, and
 *     the backend can be used on.
 */
export function runConv2d(state: WasmState, job: ConvJob, tensors: ConvTensors): TensorInfo {
  const {geometry, plan, tasks} = job;
  // Everything that allocates comes first: the heap may grow, and its views with it.
  const x = dataOffset(state, 'x', tensors.x);
  const bias = job.hasBias && tensors.bias ? dataOffset(state, 'bias', tensors.bias) : 0;
  const residual = job.hasResidual && tensors.residual ? dataOffset(state, 'residual', tensors.residual) : 0;
  const slope = job.hasSlope ? tensors.slope : undefined;
  const slopeData = slope ? dataOffset(state, 'preluActivationWeights', slope) : 0;
  const filter = dataOffset(state, 'filter', tensors.filter) + job.filterOffset;
  const kept = keptFilter(state, job, tensors.filter, filter);
  const repacked = kept === undefined && plan.algorithm !== 'depthwise' ? aligned(plan.panelBytes) : 0;
  const integers = slope && slope.dtype !== 'float32' ? slope : undefined;
  const slopeBytes = integers === undefined ? 0 : aligned(floatBytes(integers.shape));
  const threads = state.threadsFor(Math.max(tasks.blocks, tasks.multiplyTasks), tasks.cost);
  job.shareOut(threads);
  const scratches = state.scratchesFor(threads) * job.scratchBytes;
  const {sharedBytes} = job.shared;
  const workspace = state.workspace.reserve(scratches + sharedBytes + repacked + slopeBytes);
  const gathered = workspace + scratches;
  const panels = gathered + sharedBytes;

  const made = makeOutput(state, geometry.outShape, (output) => {
    if (integers !== undefined) writeFloats(state.heap, integers, slopeData, panels + repacked);
    if (kept === undefined && repacked > 0) pack(state, job, panels, filter);
    const {word} = job;
    const words = state.heap.int32();
    words[word + JOB.x] = x;
    words[word + JOB.filter] = filter;
    words[word + JOB.panels] = kept ?? panels;
    words[word + JOB.output] = output;
    words[word + JOB.gathered] = gathered;
    words[word + JOB.tall] = state.tall.chosen;
    words[word + JOB.bias] = bias;
    words[word + JOB.residual] = residual;
    if (slope !== undefined) words[word + JOB.slope] = integers === undefined ? slopeData : panels + repacked;
    if (job.activation === 'leakyrelu') job.setFloat('alpha', tensors.alpha);
    runConvTasks(state, job, threads, workspace);
  });
  state.tall.look(state);
  return made;
}

/** Computes all tasks of a job that is shared out to so many threads, stage by stage. */
export function runConvTasks(state: WasmState, job: ConvJob, threads: number, scratch: number): void {
  const {offset, scratchBytes, tasks, shared} = job;
  if (threads === 1) {
    state.kernels.im2win_conv(offset, 0, shared.count, scratch);
    return;
  }
  const stage = {kernel: 'im2win_conv', job: offset, cost: tasks.cost, scratch, scratchBytes} as const;
  for (const [first, last] of shared.stages) state.run(threads, {...stage, first, last});
}

/** The filter as the kernel reads it, or `undefined` where the call has to pack it first, or packs none. */
function keptFilter(state: WasmState, job: ConvJob, {dataId}: TensorInfo, filter: number) {
  const {plan} = job;
  if (plan.algorithm === 'depthwise' || plan.repacks) return undefined;
  return (
    state.filters.find(dataId, plan.packing) ??
    state.filters.get(dataId, {
      packing: plan.packing,
      bytes: plan.panelBytes,
      keptBytes: plan.keptBytes,
      pack: (panels) => pack(state, job, panels, filter),
    })
  );
}

/** Packs the filter at byte offset `filter` to `panels`. */
function pack(state: WasmState, job: ConvJob, panels: number, filter: number): void {
  const {plan, geometry} = job;
  if (plan.algorithm === 'depthwise') return;
  job.set('panels', panels);
  job.set('filter', filter);
  const count = Math.ceil(geometry.outChannels / plan.target.tile.nr);
  const grain = Math.ceil(count / Math.max(1, Math.floor(plan.panelBytes / PACKED_AT_A_TIME)));
  const cost = (plan.panelBytes / 4) * plan.target.costs.packed;
  const threads = state.threadsFor(Math.ceil(count / grain), cost);
  state.run(threads, {
    kernel: 'im2win_pack',
    job: job.offset,
    first: 0,
    last: count,
    grain,
    cost,
    scratch: 0,
    scratchBytes: 0,
  });
}

/** Bytes of a packed filter that are worth handing to a thread. */
const PACKED_AT_A_TIME = 2 ** 16;

/** Integer or boolean values as floats. */
export function writeFloats({memory}: Heap, {shape, dtype}: TensorInfo, from: number, to: number): void {
  const count = floatBytes(shape) / 4;
  const Values = dtype === 'bool' ? Uint8Array : Int32Array;
  new Float32Array(memory.buffer, to >>> 0, count).set(new Values(memory.buffer, from >>> 0, count));
}
