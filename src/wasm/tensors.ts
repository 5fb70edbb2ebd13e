// Tensors of tfjs's in its heap: what every family takes and makes.
import type {DataType, TensorInfo} from '@tensorflow/tfjs-core';
import {floatBytes} from '../limits.ts';
import type {WasmState} from './state.ts';

/**
 * A new float32 tensor.
 *
 * @param write Writes it, at its byte offset.
 * @throws Error if out of memory, or if `write` does; nothing is kept then.
 */
export function makeOutput(
  state: WasmState,
  shape: readonly number[],
  write: (offset: number) => void,
): TensorInfo {
  const offset = allocateOutput(state, shape);
  try {
    write(offset);
  } catch (error) {
    discard(state, offset);
    throw error;
  }
  return tensorAt(state, shape, offset);
}

/**
 * Memory for a tensor, which is none of tfjs's yet: see `tensorAt`.
 *
 * @returns Its byte offset.
 * @throws Error if out of memory.
 */
export function allocateOutput(
  {heap}: WasmState,
  shape: readonly number[],
  dtype: DataType = 'float32',
): number {
  const bytes = (floatBytes(shape) / 4) * (dtype === 'bool' ? 1 : 4);
  const offset = heap.allocateRaw(bytes);
  if (offset === 0 && bytes > 0) {
    throw new Error(
      `im2win: out of memory: an output of shape [${shape}] does not fit in tfjs's heap of ` +
        `${heap.memory.buffer.byteLength} bytes (${heap.ownBytes} of them im2win's).`,
    );
  }
  return offset;
}

/** Gives memory back whose writing has failed, once no thread can write into it any more. */
export function discard({heap}: WasmState, offset: number): void {
  heap.giveBack(() => heap.freeRaw(offset));
}

/** The tensor whose data lies in memory from `allocateOutput`. */
export function tensorAt(
  {backend}: WasmState,
  shape: readonly number[],
  offset: number,
  dtype: DataType = 'float32',
): TensorInfo {
  return backend.makeOutput(shape.slice(), dtype, offset);
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
