// Tensors of tfjs's in its heap: what every family takes and makes.
import type {DataType, TensorInfo} from '@tensorflow/tfjs-core';
import {floatBytes} from '../limits.ts';
import type {WasmState} from './state.ts';

/**
 * A new float32 tensor.
 *
 * @param write Writes it, at its byte offset.
 * @throws Error if out of memory, or if `write` does; the tensor is given back then.
 */
export function makeOutput(
  state: WasmState,
  shape: readonly number[],
  write: (offset: number) => void,
): TensorInfo {
  const {tensor, offset} = allocateOutput(state, shape);
  try {
    write(offset);
  } catch (error) {
    discard(state, tensor);
    throw error;
  }
  return tensor;
}

/** Gives a tensor back whose writing has failed, once no thread can write into it any more. */
export function discard({backend, heap}: WasmState, {dataId}: TensorInfo): void {
  heap.giveBack(() => backend.disposeData(dataId, true));
}

/**
 * A new tensor, and its byte offset; nobody has written it yet.
 *
 * @throws Error if out of memory.
 */
export function allocateOutput(
  state: WasmState,
  shape: readonly number[],
  dtype: DataType = 'float32',
): {tensor: TensorInfo; offset: number} {
  const {backend, heap} = state;
  const tensor = backend.makeOutput([...shape], dtype);
  const offset = backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0;
  if (offset === 0 && floatBytes(shape) > 0) {
    backend.disposeData(tensor.dataId, true);
    throw new Error(
      `im2win: out of memory: an output of shape [${shape}] does not fit in tfjs's heap of ` +
        `${heap.memory.buffer.byteLength} bytes (${heap.ownBytes} of them im2win's).`,
    );
  }
  return {tensor, offset};
}

/** Where a tensor's data lies; moves it here first if another backend has it. */
export function dataOffset(state: WasmState, name: string, tensor: TensorInfo): number {
  const offset = state.backend.dataIdMap.get(tensor.dataId).memoryOffset;
  if (floatBytes(tensor.shape) > 0 && !offset) {
    throw new Error(
      `im2win: out of memory: ${name} of shape [${tensor.shape}] did not fit in tfjs's heap of ` +
        `${state.heap.memory.buffer.byteLength} bytes.`,
    );
  }
  return offset ?? 0;
}
