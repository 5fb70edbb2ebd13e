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
  const [job] =
    state.jobs.find<MatMulJob>(route) ??
    state.jobs.get(
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
  const packs = plan.algorithm === 'gemm' && kept === undefined;
  // None is larger than the first.
  const [{batches, rowTasks, columnTasks}] = slices;
  const gatheredBytes = plan.gathers ? aligned(4 * batches * gatheredFloats(plan, slices[0])) : 0;
  const packed = plan.sharesPanels ? 1 : batches;
  const panelBytes = packs ? aligned(4 * packed * panelFloats(plan, slices[0])) : 0;
  const threads = state.threadsFor(batches * rowTasks * columnTasks, plan.cost);
  const scratches = state.scratchesFor(threads) * CALL_BYTES;
  const scratch = state.workspace.reserve(scratches + gatheredBytes + panelBytes + slopeBytes);
  const gathered = scratch + scratches;
  const panels = gathered + gatheredBytes;
  const floats = panels + panelBytes;

  return makeOutput(state, outShape, (output) => {
    if (integers !== undefined) writeFloats(state.heap, integers, slopeData, floats);
    const slopes = integers === undefined ? slopeData : floats;
    job.setCall({
      a,
      b,
      bias,
      slope: plan.activation === 'leakyrelu' ? job.at('alpha') : slopes,
      output,
      gathered: plan.gathers ? gathered : 0,
      panels: kept ?? panels,
      tall: state.tall.chosen,
    });
    if (plan.activation === 'leakyrelu') job.setFloat('alpha', attrs?.leakyreluAlpha ?? 0.2);
    for (const slice of slices) {
      job.setSlice(slice, plan.sharesPanels ? 0 : panelFloats(plan, slice));
      // Slices that differ in their columns alone follow each other.
      if (plan.gathers && slice.firstColumnTask === 0) gather(state, job, plan, slice);
      if (packs) pack(state, job, plan, slice);
      const tasks = slice.batches * slice.rowTasks * slice.columnTasks;
      state.run(threads, {
        kernel: plan.algorithm === 'gemm' ? 'im2win_gemm' : 'im2win_gemv',
        job: job.offset,
        first: 0,
        last: tasks,
        // Tasks that are claimed together read long runs of b.
        grain: Math.ceil(tasks / (plan.algorithm === 'gemv' ? GEMV_CLAIMS * threads : MOST_CLAIMS)),
        cost: plan.cost / slices.length,
        scratch,
        scratchBytes: CALL_BYTES,
      });
    }
  });
}

/** Floats of a slice's rows that are gathered, of a batch. */
function gatheredFloats(
  {rowsPerTask, product: {rows, depth}}: MatMulPlan,
  {firstRowTask, rowTasks}: Slice,
): number {
  return depth * Math.min(rows - firstRowTask * rowsPerTask, rowTasks * rowsPerTask);
}

/** Floats of a slice's panels, of a batch. */
function panelFloats(
  {columnsPerTask, target, product}: MatMulPlan,
  {firstColumnTask, columnTasks}: Slice,
): number {
  const columns = Math.min(product.columns - firstColumnTask * columnsPerTask, columnTasks * columnsPerTask);
  const {nr} = target.tile;
  return product.depth * nr * Math.ceil(columns / nr);
}

/** Claims of each thread. */
const GEMV_CLAIMS = 2;
/** A claim takes time; beyond so many of them nothing is shared out better. */
const MOST_CLAIMS = 64;
/** Panels that a task packs: kernels/matmul.cpp. */
const PANELS_PACKED = 4;
/** What is copied in about the time in which four products are added up. */
const BYTES_PER_STEP = 4;

/** Turns the rows of a slice around, where a lies column by column. */
function gather(state: WasmState, job: MatMulJob, plan: MatMulPlan, slice: Slice): void {
  const {batches, rowTasks} = slice;
  copy(state, job, 'im2win_matmul_rows', batches * rowTasks, 4 * batches * gatheredFloats(plan, slice));
}

/** Packs the panels of a slice. */
function pack(state: WasmState, job: MatMulJob, plan: MatMulPlan, slice: Slice): void {
  const floats = panelFloats(plan, slice);
  const perBatch = Math.ceil(floats / plan.product.depth / (PANELS_PACKED * plan.target.tile.nr));
  const count = plan.sharesPanels ? 1 : slice.batches;
  copy(state, job, 'im2win_matmul_pack', count * perBatch, 4 * count * floats);
}

/** Runs tasks that copy so many bytes. */
function copy(
  state: WasmState,
  {offset}: MatMulJob,
  kernel: 'im2win_matmul_rows' | 'im2win_matmul_pack',
  tasks: number,
  bytes: number,
): void {
  const cost = bytes / BYTES_PER_STEP;
  state.run(state.threadsFor(tasks, cost), {
    kernel,
    job: offset,
    first: 0,
    last: tasks,
    grain: Math.ceil(tasks / MOST_CLAIMS),
    cost,
    scratch: 0,
    scratchBytes: 0,
  });
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
  const {packing, keptBytes} = plan;
  const before = used.get(dataId) ?? new Set();
  if (!before.has(packing)) {
    used.set(dataId, before.add(packing));
    return undefined;
  }
  return state.filters.get(dataId, {
    packing,
    bytes: 4 * plan.panelFloats,
    keptBytes,
    pack(panels) {
      const all = wholeOf(plan);
      job.set({b, panels});
      job.setSlice(all, 0);
      pack(state, job, plan, all);
    },
  });
}

function wholeOf({batches, rowTasks, columnTasks}: MatMulPlan): Slice {
  return {firstBatch: 0, batches, firstRowTask: 0, rowTasks, firstColumnTask: 0, columnTasks};
}

/** What is computed at a time: all of it, or what can be packed and gathered in SLICE_BYTES. */
function slicesOf(plan: MatMulPlan, kept: boolean): readonly Slice[] {
  const {batches, rowTasks, columnTasks, rowsPerTask, columnsPerTask, sharesPanels, gathers, product} = plan;
  const {depth, rows} = product;
  const rowBytes = gathers ? 4 * rows * depth : 0;
  const panelBytes = plan.algorithm === 'gemm' && !kept ? 4 * plan.panelFloats : 0;
  const shared = sharesPanels ? panelBytes : 0;
  const own = rowBytes + panelBytes - shared;
  if (shared + batches * own <= 2 * SLICE_BYTES) return [wholeOf(plan)];
  const within = (bytes: number, most: number) =>
    bytes === 0 ? most : Math.max(1, Math.min(most, Math.floor(SLICE_BYTES / bytes)));
  // A batch that is too much by itself is cut along its rows and columns.
  const cut = shared + own > 2 * SLICE_BYTES;
  const batchStep = cut ? 1 : within(own, batches);
  const rowStep = cut && rowBytes > 0 ? within(4 * rowsPerTask * depth, rowTasks) : rowTasks;
  const columnStep = cut && panelBytes > 0 ? within(4 * columnsPerTask * depth, columnTasks) : columnTasks;
  const slices: Slice[] = [];
  for (let batch = 0; batch < batches; batch += batchStep) {
    for (let row = 0; row < rowTasks; row += rowStep) {
      for (let column = 0; column < columnTasks; column += columnStep) {
        slices.push({
          firstBatch: batch,
          batches: Math.min(batchStep, batches - batch),
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
