import {HEAP_BYTES} from '../limits.ts';
import type {TfjsWasmModule} from './tfjs.ts';

/** A cache line: no vector load from a panel crosses one. */
export const ALIGNMENT = 64;

/** A piece of tfjs's heap that is ours until it is given back. */
export interface Allocation {
  /** Byte offset, aligned to a cache line. */
  readonly offset: number;
  readonly bytes: number;
  /** What `_malloc` returned, and `_free` wants. */
  readonly base: number;
}

/**
 * tfjs's heap as we use it: memory is taken with tfjs's own `_malloc`, so that
 * its views stay right, and every byte taken is counted.
 */
export class Heap {
  /** Bytes taken and not yet given back. */
  ownBytes = 0;
  /** What gives memory back once no thread can write into it any more; undefined where that is at once. */
  private held: (() => void)[] | undefined;
  private ints: Int32Array = new Int32Array(0);
  private floats: Float32Array = new Float32Array(0);
  private readonly wasm: TfjsWasmModule;
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;

  constructor(wasm: TfjsWasmModule, memory: WebAssembly.Memory) {
    this.wasm = wasm;
    this.memory = memory;
    this.shared = isShared(memory.buffer);
  }

  /**
   * @param purpose What the memory is for, for the message.
   * @throws Error if tfjs's heap cannot grow any further. Nothing is taken then.
   */
  allocate(bytes: number, purpose: string): Allocation {
    const total = bytes + ALIGNMENT;
    const base = total >= HEAP_BYTES ? 0 : this.wasm._malloc(total) >>> 0;
    if (base === 0) {
      throw new Error(
        `im2win: out of memory: ${bytes} bytes for ${purpose} do not fit in tfjs's heap of ` +
          `${this.memory.buffer.byteLength} bytes (${this.ownBytes} of them im2win's).`,
      );
    }
    this.ownBytes += total;
    return {offset: aligned(base), bytes, base};
  }

  free(allocation: Allocation): void {
    this.giveBack(() => {
      this.wasm._free(allocation.base);
      this.ownBytes -= allocation.bytes + ALIGNMENT;
    });
  }

  /** What `_malloc` gives, as for a tensor of tfjs's: 0 when out of memory. It is not counted. */
  allocateRaw(bytes: number): number {
    return this.wasm._malloc(bytes) >>> 0;
  }

  freeRaw(offset: number): void {
    this.wasm._free(offset);
  }

  /** Runs what gives memory of the heap back: now, or after `resume` where it is held. */
  giveBack(run: () => void): void {
    if (this.held === undefined) run();
    else this.held.push(run);
  }

  /** From now on nothing is given back: a thread that did not come back may still write. */
  hold(): void {
    this.held ??= [];
  }

  /** Gives back what was held, once that thread has ended. */
  resume(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const run of held) run();
  }

  /** The heap as 32-bit integers; take it anew after anything was allocated. */
  int32(): Int32Array {
    if (this.isStale(this.ints)) this.ints = new Int32Array(this.memory.buffer);
    return this.ints;
  }

  /** The heap as floats; take it anew after anything was allocated. */
  float32(): Float32Array {
    if (this.isStale(this.floats)) this.floats = new Float32Array(this.memory.buffer);
    return this.floats;
  }

  /** Whether the memory has grown. One that is not shared takes its views' values away then, and asking for its buffer takes long. */
  private isStale(view: Int32Array | Float32Array): boolean {
    return view.length === 0 || (this.shared && view.buffer !== this.memory.buffer);
  }
}

// A shared memory that another thread has grown has a new buffer object, over the
// same bytes; tfjs's view may still have the old one.
function sameBuffer(a: ArrayBufferLike, b: ArrayBufferLike): boolean {
  return a === b || (isShared(a) && isShared(b));
}

// Not instanceof: the memory may come from another realm.
export function isShared(buffer: ArrayBufferLike | undefined): boolean {
  return Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';
}

/**
 * Finds the memory that a tfjs build runs on; `undefined` if it is not where the
 * known builds keep it.
 */
export function findMemory(wasm: TfjsWasmModule): WebAssembly.Memory | undefined {
  return [wasm.asm?.memory, wasm.wasmMemory].find(
    (memory) => memory !== undefined && sameBuffer(memory.buffer, wasm.HEAPU8.buffer),
  );
}

/** To the next cache line. */
export function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}
