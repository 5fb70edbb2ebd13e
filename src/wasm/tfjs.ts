import type {DataId, DataType, TensorInfo} from '@tensorflow/tfjs-core';

/** What the wasm backend keeps of a tensor's data. */
export interface WasmData {
  /** Byte offset in the heap; null for strings. */
  readonly memoryOffset: number | null;
}

/** The emscripten module inside the wasm backend. None of it is documented. */
export interface TfjsWasmModule {
  readonly HEAPU8: Uint8Array;
  /** Where the plain and the SIMD build keep their memory. */
  readonly asm?: {readonly memory?: WebAssembly.Memory};
  /** Where the threaded build does. */
  readonly wasmMemory?: WebAssembly.Memory;
  readonly tfjs?: {getThreadsCount?(): number};
  /** Byte offset, 0 when out of memory; a signed number beyond 2 GiB. */
  _malloc(bytes: number): number;
  _free(offset: number): void;
}

/** The parts of tfjs's `BackendWasm` that the kernels use. */
export interface TfjsWasmBackend {
  /** Null once the backend was disposed. */
  readonly wasm: TfjsWasmModule | null;
  readonly dataIdMap: {get(dataId: DataId): WasmData; has(dataId: DataId): boolean};
  disposeData(dataId: DataId, force?: boolean): boolean;
  /** @param memoryOffset What `_malloc` gave for it; a piece of its own if missing. */
  makeOutput(shape: number[], dtype: DataType, memoryOffset?: number): TensorInfo;
}
