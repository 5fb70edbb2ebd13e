import type {DataId} from '@tensorflow/tfjs-core';
import type {Allocation, Heap} from './heap.ts';
import type {TfjsWasmBackend} from './tfjs.ts';

/**
 * Packed filters, by the filter's data id and packing, each kept until tfjs
 * frees the data it was made from.
 */
export class FilterCache {
  private readonly packed = new Map<DataId, Map<string, Allocation>>();
  private readonly unhook: () => void;
  private readonly heap: Heap;

  constructor(heap: Heap, backend: TfjsWasmBackend) {
    this.heap = heap;
    this.unhook = onDataFreed(backend, (dataId) => this.drop(dataId));
  }

  get bytes(): number {
    let bytes = 0;
    for (const packings of this.packed.values()) {
      for (const allocation of packings.values()) bytes += allocation.bytes;
    }
    return bytes;
  }

  /**
   * The byte offset of a filter in a packing; packed by `pack` on first use.
   *
   * @throws Error if out of memory. The cache is as before then.
   */
  get(dataId: DataId, packing: string, bytes: number, pack: (offset: number) => void): number {
    const found = this.packed.get(dataId)?.get(packing);
    if (found !== undefined) return found.offset;
    const allocation = this.heap.allocate(bytes, 'a packed filter');
    pack(allocation.offset);
    const packings = this.packed.get(dataId) ?? new Map<string, Allocation>();
    this.packed.set(dataId, packings.set(packing, allocation));
    return allocation.offset;
  }

  /** Gives all memory back and stops watching the backend. */
  release(): void {
    this.unhook();
    for (const dataId of [...this.packed.keys()]) this.drop(dataId);
  }

  private drop(dataId: DataId): void {
    for (const allocation of this.packed.get(dataId)?.values() ?? []) this.heap.free(allocation);
    this.packed.delete(dataId);
  }
}

/**
 * Calls `listener` whenever the backend frees a tensor's data: disposed for the
 * last time, or moved to another backend. Only the backend itself knows, so its
 * `disposeData` is wrapped.
 *
 * @returns What takes the wrapper off again.
 */
function onDataFreed(backend: TfjsWasmBackend, listener: (dataId: DataId) => void): () => void {
  const original = backend.disposeData;
  let active = true;
  const wrapper = function (this: TfjsWasmBackend, dataId: DataId, force?: boolean): boolean {
    const held = active && this.dataIdMap.has(dataId);
    const disposed = original.call(this, dataId, force);
    if (held && !this.dataIdMap.has(dataId)) listener(dataId);
    return disposed;
  };
  const own = Object.hasOwn(backend, 'disposeData');
  backend.disposeData = wrapper;
  return () => {
    active = false;
    if (backend.disposeData !== wrapper) return; // Somebody wrapped it after us.
    if (own) backend.disposeData = original;
    else delete (backend as Partial<TfjsWasmBackend>).disposeData;
  };
}
