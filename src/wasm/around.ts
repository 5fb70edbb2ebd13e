import type {TensorInfo} from '@tensorflow/tfjs-core';
import {around, type OwnAroundRoute} from '../around.ts';
import {type AroundCall, type AroundKernel, inputOf, type Work} from '../aroundKernel.ts';
import type {Family} from '../family.ts';
import type {TensorSpec} from '../tensorSpec.ts';
import type {AroundJob, RecordKind} from './aroundJob.ts';
import {BATCH_NORM_RECORD} from './batchNormJob.ts';
import {BINARY_RECORD} from './binaryJob.ts';
import {isShared} from './heap.ts';
import {MOVE_RECORD} from './moveJob.ts';
import {PIECES_RECORD} from './piecesJob.ts';
import {POOL_GRADIENT_RECORD} from './poolGradientJob.ts';
import {REDUCE_RECORD} from './reduceJob.ts';
import {RESIZE_RECORD} from './resizeJob.ts';
import type {StateOf, WasmState} from './state.ts';
import {allocateOutput, dataOffset, discard, tensorAt} from './tensors.ts';
import type {TfjsWasmBackend} from './tfjs.ts';
import {UNARY_RECORD} from './unaryJob.ts';
import {ZIP_RECORD} from './zipJob.ts';

/** By the record that says a work to wasm. */
export const RECORD_KINDS: {readonly [K in Work['record']]: RecordKind<Extract<Work, {record: K}>>} = {
  batchNorm: BATCH_NORM_RECORD,
  binary: BINARY_RECORD,
  move: MOVE_RECORD,
  pieces: PIECES_RECORD,
  poolGradient: POOL_GRADIENT_RECORD,
  reduce: REDUCE_RECORD,
  resize: RESIZE_RECORD,
  unary: UNARY_RECORD,
  zip: ZIP_RECORD,
};

export function wasmAround(stateOf: StateOf): Family {
  return around(
    (kernel, call, route) => compute(stateOf(call.backend, kernel), kernel, call, route),
    (instance) => isShared((instance as TfjsWasmBackend).wasm?.HEAPU8.buffer),
  );
}

function compute(
  state: WasmState,
  kernel: AroundKernel,
  call: AroundCall,
  route: OwnAroundRoute,
): TensorInfo | TensorInfo[] {
  const {plan} = route;
  const {work, tasks, cost, scratchBytes} = plan;
  const kind: RecordKind<Work> = RECORD_KINDS[work.record];
  const job = (state.jobs.find<AroundJob>(route) ?? addJob(state, kind, route))[0];
  const {inputs, outputs} = job;
  const names = kernel.inputs;
  const count = names === 'list' ? (call.inputs as readonly TensorInfo[]).length : names.length;
  for (let i = 0; i < count; ++i) {
    const source =
      names === 'list' ? (call.inputs as readonly TensorInfo[])[i] : inputOf(call.inputs, names[i]);
    inputs[i] = source == null ? 0 : dataOffset(state, 'a tensor', source);
  }
  if (kernel.offset !== undefined) inputs[0] += kernel.offset(call);
  const threads = state.threadsFor(tasks, cost);
  const scratch =
    scratchBytes === 0 ? 0 : state.workspace.reserve(scratchBytes * state.scratchesFor(threads));
  allocateOutputs(state, plan.outputs, outputs);
  try {
    job.patch(state.heap.int32());
    if (kernel.value !== undefined) {
      job.setValue?.(state.heap, Number(kernel.value(call)), plan.outputs[0].dtype);
    }
    const {offset} = job;
    if (threads === 1) {
      state.kernels[kind.entry](offset, 0, tasks, scratch);
    } else {
      state.run(threads, {
        kernel: kind.entry,
        job: offset,
        first: 0,
        last: tasks,
        cost,
        scratch,
        scratchBytes,
      });
    }
  } catch (error) {
    for (const offset of outputs) discard(state, offset);
    throw error;
  }
  if (kernel.lists) {
    return plan.outputs.map(({shape, dtype}, i) => tensorAt(state, shape, outputs[i], dtype));
  }
  const {shape, dtype} = plan.outputs[0];
  return tensorAt(state, shape, outputs[0], dtype);
}

function addJob(state: WasmState, kind: RecordKind<Work>, route: OwnAroundRoute): readonly AroundJob[] {
  const {work, tasks} = route.plan;
  return state.jobs.get(
    route,
    1,
    (_, at) => kind.create(state.heap, at, work, tasks),
    () => kind.bytes(work),
  );
}

/**
 * @param offsets Where each output lies is written here.
 * @throws Error if out of memory, with none of them kept.
 */
function allocateOutputs(state: WasmState, outputs: readonly TensorSpec[], offsets: number[]): void {
  let taken = 0;
  try {
    for (; taken < outputs.length; ++taken) {
      const {shape, dtype} = outputs[taken];
      offsets[taken] = allocateOutput(state, shape, dtype);
    }
  } catch (error) {
    for (const offset of offsets.slice(0, taken)) discard(state, offset);
    throw error;
  }
}
