// tfjs's threaded build, whose memory is shared, does not run in Node: this stands in for it.
import type {DataId, DataType, TensorInfo} from '@tensorflow/tfjs-core';
import type {TfjsWasmBackend, WasmData} from '../src/wasm/tfjs.ts';
import {size} from './tf.ts';

/** Hands out its memory from the bottom up, and never takes any back. */
export function sharedBackend(memory: WebAssembly.Memory): TfjsWasmBackend {
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
    makeOutput: (shape: number[], dtype: DataType, memoryOffset?: number): TensorInfo => {
      const dataId = {};
      data.set(dataId, {memoryOffset: memoryOffset ?? backend.wasm?._malloc(4 * size(shape)) ?? 0});
      return {dataId, shape, dtype};
    },
  };
  return backend;
}
