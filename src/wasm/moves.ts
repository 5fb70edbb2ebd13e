import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {Family} from '../family.ts';
import type {MoveOutput} from '../move.ts';
import {type MoveCall, type MoveKernel, sourcesOf} from '../moveKernels.ts';
import {moves, type OwnMoveRoute} from '../moves.ts';
import {isShared} from './heap.ts';
import {MoveJob, moveBytes} from './moveJob.ts';
import type {StateOf, WasmState} from './state.ts';
import {allocateOutput, dataOffset, discard} from './tensors.ts';
import type {TfjsWasmBackend} from './tfjs.ts';

export function wasmMoves(stateOf: StateOf): Family {
  return moves(
    (kernel, call, route) => compute(stateOf(call.backend, kernel), kernel, call, route),
    // JavaScript copies a shared memory value by value.
    (instance) => isShared((instance as TfjsWasmBackend).wasm?.HEAPU8.buffer),
  );
}

function compute(
  state: WasmState,
  kernel: MoveKernel,
  call: MoveCall,
  route: OwnMoveRoute,
): TensorInfo | TensorInfo[] {
  const {plan} = route;
  const job = state.jobs.get(
    route,
    1,
    (_, at) => new MoveJob(state.heap, at, plan),
    () => moveBytes(plan),
  )[0];
  const {inputs, outputs} = job;
  const sources = sourcesOf(call) as readonly TensorInfo[];
  for (let i = 0; i < sources.length; ++i) inputs[i] = dataOffset(state, 'a tensor', sources[i]);
  if (kernel.offset !== undefined) inputs[0] += kernel.offset(call);
  const tensors = allocateOutputs(state, plan.outputs, outputs);
  try {
    job.patch(state.heap.int32());
    if (kernel.value !== undefined)
      job.setValue(state.heap, Number(kernel.value(call)), plan.outputs[0].dtype);
    state.run(state.threadsFor(plan.tasks, plan.cost), {
      kernel: 'im2win_move',
      job: job.offset,
      first: 0,
      last: plan.tasks,
      cost: plan.cost,
      scratch: 0,
      scratchBytes: 0,
    });
  } catch (error) {
    for (const tensor of tensors) discard(state, tensor);
    throw error;
  }
  return kernel.lists ? tensors : tensors[0];
}

/**
 * @param offsets Where each output lies is written here.
 * @throws Error if out of memory, with none of them kept.
 */
function allocateOutputs(state: WasmState, outputs: readonly MoveOutput[], offsets: number[]): TensorInfo[] {
  const tensors: TensorInfo[] = [];
  try {
    for (const {shape, dtype} of outputs) {
      const {tensor, offset} = allocateOutput(state, shape, dtype);
      offsets[tensors.length] = offset;
      tensors.push(tensor);
    }
  } catch (error) {
    for (const tensor of tensors) discard(state, tensor);
    throw error;
  }
  return tensors;
}
