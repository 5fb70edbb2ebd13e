import type {Allocation, Heap} from './heap.ts';

/**
 * The scratch memory of a backend: one piece, as large as the largest call so
 * far has needed, used by one call at a time.
 */
export class Workspace {
  private allocation: Allocation | undefined;
  private readonly heap: Heap;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  get bytes(): number {
    return this.allocation?.bytes ?? 0;
  }

  /**
   * @returns The byte offset of at least `bytes` bytes; their content is not
   *     kept from one call to the next.
   * @throws Error if out of memory. The workspace is empty then.
   */
  reserve(bytes: number): number {
    if (this.allocation === undefined || this.allocation.bytes < bytes) {
      this.release();
      this.allocation = this.heap.allocate(bytes, 'the workspace');
    }
    return this.allocation.offset;
  }

  release(): void {
    if (this.allocation !== undefined) this.heap.free(this.allocation);
    this.allocation = undefined;
  }
}
