import type {Target} from '../targets.generated.ts';
import {ALIGNMENT, aligned, type Heap} from './heap.ts';
import {MATMUL, MATMUL_WORDS} from './job.generated.ts';
import {CALL_BYTES} from './job.ts';
import type {KernelExports} from './module.ts';

// A product that stays in the first-level cache, of whole tiles of either height: some microseconds.
const ROWS = 48;
const DEPTH = 128;
/** A scratch, the record, and the three matrices. */
const BYTES = CALL_BYTES + 4 * (MATMUL_WORDS + (ROWS + 8) * DEPTH + 8 * ROWS);

/** Calls before the first look: a network's first runs are not to wait for it. */
const FIRST_CALLS = 512;
/** Looks before the first that counts: by then the engine has compiled both tiles with its optimizing compiler. */
const WARM_UP = 64;
const LOOKS = 64;

/**
 * What a tall tile's time is of the other's where it is faster: 0.9 where vectors are computed as one, else 1.2. Less than
 * half is one that is compiled, while the other is not yet.
 */
const FASTER = [0.5, 1] as const;

/**
 * Whether tall tiles are the faster ones on this engine, as they are where it computes two vectors as one of 256 bits.
 * Nothing tells but time. So the same small product is timed with either, behind each of some calls, once hundreds were
 * made. What tiles compute does not depend on their height.
 */
export class TallTiles {
  private taken = -FIRST_CALLS;
  private fastest = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  private looking: boolean;

  /** 1 where tiles are to be tall, else 0. */
  chosen: 0 | 1 = 0;

  constructor({tile}: Target) {
    this.looking = tile.tallMR > tile.mr;
  }

  /** To be called once a convolution. */
  look({heap, kernels}: Instance): void {
    if (!this.looking || ++this.taken <= 0) return;
    // tfjs's heap may be full: then there is no look.
    const base = heap.allocateRaw(BYTES + ALIGNMENT);
    if (base === 0) return;
    try {
      for (const tall of [0, 1]) {
        const time = timeOf({heap, kernels}, aligned(base), tall);
        if (this.taken > WARM_UP) this.fastest[tall] = Math.min(this.fastest[tall], time);
      }
    } finally {
      heap.freeRaw(base);
    }
    if (this.taken < WARM_UP + LOOKS) return;
    const ratio = this.fastest[1] / this.fastest[0];
    this.chosen = ratio > FASTER[0] && ratio < FASTER[1] ? 1 : 0;
    this.looking = false;
  }
}

interface Instance {
  readonly heap: Heap;
  readonly kernels: KernelExports;
}

/** @returns Milliseconds of the product. */
function timeOf({heap, kernels}: Instance, scratch: number, tall: number): number {
  const job = scratch + CALL_BYTES;
  const a = job + 4 * MATMUL_WORDS;
  const word = job >>> 2;
  const words = heap.int32();
  words.fill(0, word, (scratch + BYTES) >>> 2);
  words[word + MATMUL.rows] = words[word + MATMUL.rowsPerTask] = ROWS;
  words[word + MATMUL.depth] = DEPTH;
  words[word + MATMUL.columns] = words[word + MATMUL.columnsPerTask] = 8;
  words[word + MATMUL.rowTasks] = words[word + MATMUL.columnTasks] = 1;
  words[word + MATMUL.a] = a;
  words[word + MATMUL.panels] = a + 4 * ROWS * DEPTH;
  words[word + MATMUL.output] = a + 4 * (ROWS + 8) * DEPTH;
  words[word + MATMUL.tall] = tall;
  const start = performance.now();
  kernels.im2win_gemm(job, 0, 1, scratch);
  return performance.now() - start;
}
