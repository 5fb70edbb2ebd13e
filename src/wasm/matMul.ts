import type {DataId, TensorInfo} from '@tensorflow/tfjs-core';
import type {Family} from '../family.ts';
import {floatBytes} from '../limits.ts';
import {type MatMulCall, matMuls, type OwnMatMulRoute} from '../matMul.ts';
import {type MatMulPlan, SLICE_BYTES} from '../matMulPlan.ts';
import {writeFloats} from './conv2d.ts';
import {aligned} from './heap.ts';
import {CALL_BYTES} from './job.ts';
import {MATMUL_BYTES, MatMulJob, type Slice} from './matMulJob.ts';
import type {StateOf, WasmState} from './state.ts';
import {dataOffset, makeOutput} from './tensors.ts';

export function wasmMatMuls(stateOf: StateOf): Family {
  return matMuls((kernel, call, route) => compute(stateOf(call.backend, kernel), call, route));
}

/** The packings in which each b was used so far: one that is used again is worth keeping. */
const used = new WeakMap<DataId, Set<string>>();

function compute(state: WasmState, {inputs, attrs}: MatMulCall, route: OwnMatMulRoute): TensorInfo {
  const {plan} = route;
  const {product, outShape} = plan;
  if (outShape.includes(0)) return state.backend.makeOutput([...outShape], 'float32');
  const [job] = state.jobs.get(
    route,
    1,
    (_, at) => new MatMulJob(state.heap, at, plan),
    () => MATMUL_BYTES,
  );
  // Everything that allocates comes first: the heap may grow, and its views with it.
  const [first, second] = product.swapped ? [inputs.b, inputs.a] : [inputs.a, inputs.b];
  const a = dataOffset(state, 'a', first);
  const b = dataOffset(state, 'b', second);
  const bias = product.bias && inputs.bias ? dataOffset(state, 'bias', inputs.bias) : 0;
  const slope = (product.slope && inputs.preluActivationWeights) ?? undefined;
  const slopeData = slope ? dataOffset(state, 'preluActivationWeights', slope) : 0;
  const integers = slope && slope.dtype !== 'float32' ? slope : undefined;
  const slopeBytes = integers === undefined ? 0 : aligned(floatBytes(integers.shape));
  const kept = keptPanels(state, job, plan, second.dataId, b);
  const slices = slicesOf(plan, kept !== undefined);
  const {columnsPerTask, rowsPerTask} = plan;
  const {columns, depth, rows} = product;
  const most = slices[0];
  const gatheredBytes = plan.gathers
    ? aligned(4 * most.batches * Math.min(rows, most.rowTasks * rowsPerTask) * depth)
    : 0;
  const {nr} = plan.target.tile;
  const slicePanels = (slice: Slice) =>
    depth *
    nr *
    Math.ceil(
      Math.min(columns - slice.firstColumnTask * columnsPerTask, slice.columnTasks * columnsPerTask) / nr,
    );
  const packs = plan.algorithm === 'gemm' && kept === undefined;
  const panelBytes = packs ? aligned(4 * slicePanels(most) * (plan.sharesPanels ? 1 : most.batches)) : 0;
  const threads = state.threadsFor(most.batches * most.rowTasks * most.columnTasks, plan.cost);
  const scratches = state.scratchesFor(threads) * CALL_BYTES;
  const workspace = state.workspace.reserve(scratches + gatheredBytes + panelBytes + slopeBytes);
  const gathered = workspace + scratches;
  const panels = gathered + gatheredBytes;
  const floats = panels + panelBytes;

  return makeOutput(state, outShape, (output) => {
    if (integers !== undefined) writeFloats(state.heap, integers, slopeData, floats);
    job.set({
      a,
      b,
      bias,
      slope: plan.activation === 'leakyrelu' ? job.at('alpha') : integers === undefined ? slopeData : floats,
      output,
      gathered: plan.gathers ? gathered : 0,
      panels: kept ?? panels,
    });
    if (plan.activation === 'leakyrelu') job.setFloat('alpha', attrs?.leakyreluAlpha ?? 0.2);
    for (const slice of slices) {
      const batchPanels = plan.sharesPanels ? 0 : slicePanels(slice);
      job.setSlice(slice, batchPanels);
      const {batches, rowTasks, columnTasks} = slice;
      if (plan.gathers)
        run(
          state,
          'im2win_matmul_rows',
          job,
          batches * rowTasks,
          4 * batches * rowTasks * rowsPerTask * depth,
        );
      if (packs) pack(state, job, plan, slice, slicePanels(slice));
      const tasks = batches * rowTasks * columnTasks;
      state.run(threads, {
        kernel: plan.algorithm === 'gemm' ? 'im2win_gemm' : 'im2win_gemv',
        job: job.offset,
        first: 0,
        last: tasks,
        grain: Math.ceil(tasks / MOST_CLAIMS),
        cost: plan.cost / slices.length,
        scratch: workspace,
        scratchBytes: CALL_BYTES,
      });
    }
  });
}

/** A claim takes time; beyond so many of them nothing is shared out better. */
const MOST_CLAIMS = 64;
/** Panels that a task packs: kernels/matmul.cpp. */
const PANELS_PACKED = 4;
/** What is copied in about the time in which four products are added up. */
const BYTES_PER_STEP = 4;

/** Runs tasks that copy so many bytes. */
function run(
  state: WasmState,
  kernel: 'im2win_matmul_rows' | 'im2win_matmul_pack',
  job: MatMulJob,
  tasks: number,
  bytes: number,
): void {
  const cost = bytes / BYTES_PER_STEP;
  state.run(state.threadsFor(tasks, cost), {
    kernel,
    job: job.offset,
    first: 0,
    last: tasks,
    grain: Math.ceil(tasks / MOST_CLAIMS),
    cost,
    scratch: 0,
    scratchBytes: 0,
  });
}

/** Packs what a slice needs, which is so many floats for each batch. */
function pack(state: WasmState, job: MatMulJob, plan: MatMulPlan, {batches}: Slice, floats: number): void {
  const {nr} = plan.target.tile;
  const perBatch = Math.ceil(floats / Math.max(1, plan.product.depth) / (PANELS_PACKED * nr));
  const count = plan.sharesPanels ? 1 : batches;
  run(state, 'im2win_matmul_pack', job, count * perBatch, 4 * count * floats);
}

/** The packed b that is kept, or undefined where the call packs it, or none. */
function keptPanels(
  state: WasmState,
  job: MatMulJob,
  plan: MatMulPlan,
  dataId: DataId,
  b: number,
): number | undefined {
  if (!plan.keeps) return undefined;
  const {packing, keptBytes, panelFloats} = plan;
  const before = used.get(dataId) ?? new Set();
  if (!before.has(packing)) {
    used.set(dataId, before.add(packing));
    return undefined;
  }
  return state.filters.get(dataId, {
    packing,
    bytes: 4 * panelFloats,
    keptBytes,
    pack(panels) {
      const all = wholeOf(plan);
      job.set({b, panels});
      job.setSlice(all, 0);
      pack(state, job, plan, all, panelFloats);
    },
  });
}

function wholeOf({batches, rowTasks, columnTasks}: MatMulPlan): Slice {
  return {firstBatch: 0, batches, firstRowTask: 0, rowTasks, firstColumnTask: 0, columnTasks};
}

/** What is computed at a time: all of it, or as much as can be packed and gathered within SLICE_BYTES. */
function slicesOf(plan: MatMulPlan, kept: boolean): readonly Slice[] {
  const {batches, rowTasks, columnTasks, rowsPerTask, columnsPerTask, sharesPanels, gathers, product} = plan;
  const {depth, rows} = product;
  const whole = wholeOf(plan);
  const packs = plan.algorithm === 'gemm' && !kept;
  const rowBytes = gathers ? 4 * rows * depth : 0;
  const panelBytes = packs ? 4 * plan.panelFloats : 0;
  const batchBytes = rowBytes + (sharesPanels ? 0 : panelBytes);
  if (batchBytes * batches + (sharesPanels ? panelBytes : 0) <= 2 * SLICE_BYTES) return [whole];
  const slices: Slice[] = [];
  const perSlice = (bytes: number, most: number) =>
    bytes === 0 ? most : Math.max(1, Math.min(most, Math.floor(SLICE_BYTES / bytes)));
  const batchesPerSlice = rowBytes + panelBytes <= 2 * SLICE_BYTES ? perSlice(batchBytes, batches) : 1;
  const single = rowBytes + panelBytes > 2 * SLICE_BYTES;
  const rowStep = single && gathers ? perSlice(4 * rowsPerTask * depth, rowTasks) : rowTasks;
  const columnStep = single && packs ? perSlice(4 * columnsPerTask * depth, columnTasks) : columnTasks;
  for (let batch = 0; batch < batches; batch += batchesPerSlice) {
    for (let row = 0; row < rowTasks; row += rowStep) {
      for (let column = 0; column < columnTasks; column += columnStep) {
        slices.push({
          firstBatch: batch,
          batches: Math.min(batchesPerSlice, batches - batch),
          firstRowTask: row,
          rowTasks: Math.min(rowStep, rowTasks - row),
          firstColumnTask: column,
          columnTasks: Math.min(columnStep, columnTasks - column),
        });
      }
    }
  }
  return slices;
}
