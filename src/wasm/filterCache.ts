import type {DataId} from '@tensorflow/tfjs-core';
import {Packings} from '../packings.ts';
import type {Allocation, Heap} from './heap.ts';
import type {TfjsWasmBackend} from './tfjs.ts';

/** A packed filter that a call wants. */
export interface WantedPacking {
  readonly packing: string;
  readonly bytes: number;
  /** What all packings of the filter may take together. */
  readonly keptBytes: number;
  /** Writes the packing to a byte offset. */
  pack(offset: number): void;
}

/**
 * Packed filters, by the filter's data id and packing, each kept until tfjs
 * frees the data it was made from.
 */
export class FilterCache {
  private readonly packings = new Map<DataId, Packings<Allocation>>();
  private readonly unhook: () => void;
  private readonly heap: Heap;

  constructor(heap: Heap, backend: TfjsWasmBackend) {
    this.heap = heap;
    this.unhook = onDataFreed(backend, this.packings, (dataId) => this.drop(dataId));
  }

  get bytes(): number {
    let bytes = 0;
    for (const packings of this.packings.values()) bytes += packings.bytes;
    return bytes;
  }

  /** The byte offset of a filter in a packing that is kept. */
  find(dataId: DataId, packing: string): number | undefined {
    return this.packings.get(dataId)?.get(packing)?.offset;
  }

  /**
   * The byte offset of a filter in a packing, which is made on first use; undefined where there is no room to keep it.
   *
   * @throws Error if out of memory. The filter's other packings may be gone then.
   */
  get(dataId: DataId, {packing, bytes, keptBytes, pack}: WantedPacking): number | undefined {
    const packings = this.packings.get(dataId) ?? new Packings<Allocation>();
    const found = packings.get(packing);
    if (found !== undefined) return found.offset;
    if (!packings.makeRoom(packing, bytes, keptBytes, (packed) => this.heap.free(packed))) return undefined;
    const allocation = this.heap.allocate(bytes, 'a packed filter');
    try {
      pack(allocation.offset);
    } catch (error) {
      this.heap.free(allocation);
      throw error;
    }
    packings.keep(packing, allocation);
    this.packings.set(dataId, packings);
    return allocation.offset;
  }

  /** Gives all memory back and stops watching the backend. */
  release(): void {
    this.unhook();
    for (const dataId of [...this.packings.keys()]) this.drop(dataId);
  }

  private drop(dataId: DataId): void {
    for (const packed of this.packings.get(dataId) ?? []) this.heap.free(packed);
    this.packings.delete(dataId);
  }
}

/**
 * Calls `listener` whenever the backend frees a tensor's data that is watched: disposed
 * for the last time, or moved to another backend. Only the backend itself knows, so its
 * `disposeData` is wrapped.
 *
 * @returns What takes the wrapper off again.
 */
function onDataFreed(
  backend: TfjsWasmBackend,
  watched: {has(dataId: DataId): boolean},
  listener: (dataId: DataId) => void,
): () => void {
  const original = backend.disposeData;
  let active = true;
  const wrapper = function (this: TfjsWasmBackend, dataId: DataId, force?: boolean): boolean {
    const isWatched = active && watched.has(dataId);
    const disposed = original.call(this, dataId, force);
    if (isWatched && !this.dataIdMap.has(dataId)) listener(dataId);
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
