import {sizeOf} from '../box.ts';
import type {Pieces} from '../pieces.ts';
import type {AroundJob, RecordKind} from './aroundJob.ts';
import type {Heap} from './heap.ts';
import {DIMENSION, DIMENSION_WORDS, PIECE, PIECE_WORDS, PIECES, PIECES_WORDS} from './job.generated.ts';

export const PIECES_RECORD: RecordKind<{readonly record: 'pieces'; readonly pieces: Pieces}> = {
  entry: 'im2win_pieces',
  bytes: ({pieces}) => 4 * wordsOf(pieces),
  create: (heap, at, {pieces}, tasks) => new PiecesJob(heap, at, pieces, tasks),
};

/** What a record takes with its dimensions and their pieces. */
function wordsOf({dimensions}: Pieces): number {
  return PIECES_WORDS + dimensions.length * DIMENSION_WORDS + dimensions.flat().length * PIECE_WORDS;
}

/** A record in the heap, as kernels/pieces.def has it: written once, patched at each call. */
class PiecesJob implements AroundJob {
  readonly offset: number;
  readonly inputs: number[] = [];
  readonly outputs: number[] = [];

  constructor(heap: Heap, offset: number, pieces: Pieces, tasks: number) {
    this.offset = offset;
    const {run, dimensions} = pieces;
    const sizes = dimensions.map((dimension) => dimension.reduce((sum, {size}) => sum + size, 0));
    const words = new Int32Array(wordsOf(pieces));
    words[PIECES.tasks] = tasks;
    words[PIECES.rows] = sizeOf(sizes.slice(1));
    words[PIECES.run] = run;
    words[PIECES.dimensions] = dimensions.length;
    let at = PIECES_WORDS;
    dimensions.forEach(({length}, i) => {
      words[at + DIMENSION.size] = sizes[i];
      words[at + DIMENSION.pieces] = length;
      at += DIMENSION_WORDS;
    });
    for (const {size, from, to, fromStep, toStep, outside} of dimensions.flat()) {
      words[at + PIECE.size] = size;
      words[at + PIECE.outside] = outside ? 1 : 0;
      words[at + PIECE.from] = from;
      words[at + PIECE.to] = to;
      words[at + PIECE.fromStep] = fromStep;
      words[at + PIECE.toStep] = toStep;
      at += PIECE_WORDS;
    }
    heap.int32().set(words, offset >>> 2);
  }

  patch(words: Int32Array): void {
    const word = this.offset >>> 2;
    words[word + PIECES.from] = this.inputs[0];
    words[word + PIECES.to] = this.outputs[0];
  }
}
