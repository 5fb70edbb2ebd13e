import type {Dimension} from '../box.ts';
import type {Move} from '../move.ts';
import type {Dtype} from '../tensorSpec.ts';
import type {AroundJob, RecordKind} from './aroundJob.ts';
import type {Heap} from './heap.ts';
import {MOVE, MOVE_WORDS, STREAM, STREAM_WORDS} from './job.generated.ts';

/** The numbers of kernels/move.cpp. */
const MOVES = {streams: 0, box: 1, fill: 2, pad: 3, transpose: 4} as const;
const CASTS: Partial<Record<`${Dtype}-${Dtype}`, number>> = {
  'float32-int32': 5,
  'int32-float32': 6,
  'bool-int32': 7,
  'bool-float32': 8,
  'float32-bool': 9,
  'int32-bool': 10,
};

/** The block of a plane that kernels/move.cpp transposes at a time. */
const BLOCK_ACROSS = 256;
const BLOCK_DOWN = 32;

// Of each dimension, the innermost one first.
const SIZES = [MOVE.size0, MOVE.size1, MOVE.size2, MOVE.size3, MOVE.size4, MOVE.size5];
const FROM = [MOVE.from0, MOVE.from1, MOVE.from2, MOVE.from3, MOVE.from4, MOVE.from5];
const TO = [MOVE.to0, MOVE.to1, MOVE.to2, MOVE.to3, MOVE.to4, MOVE.to5];
const FIRST = [MOVE.first0, MOVE.first1, MOVE.first2, MOVE.first3, MOVE.first4];
const INSIDE = [MOVE.inside0, MOVE.inside1, MOVE.inside2, MOVE.inside3, MOVE.inside4];

export const MOVE_RECORD: RecordKind<{readonly record: 'move'; readonly move: Move}> = {
  entry: 'im2win_move',
  bytes: ({move}) => moveBytes(move),
  create: (heap, at, {move}, tasks) => new MoveJob(heap, at, move, tasks),
};

/** What a record and its streams take, in bytes. */
function moveBytes(move: Move): number {
  return 4 * (MOVE_WORDS + (move.kind === 'streams' ? move.streams.length * STREAM_WORDS : 0));
}

/** A record in the heap, as kernels/move.def has it: written once, patched at each call. */
class MoveJob implements AroundJob {
  readonly offset: number;
  readonly inputs: number[] = [];
  readonly outputs: number[] = [];
  private readonly word: number;
  private readonly move: Move;

  constructor(heap: Heap, offset: number, move: Move, tasks: number) {
    this.offset = offset;
    this.word = offset >>> 2;
    this.move = move;
    const words = new Int32Array(moveBytes(move) / 4);
    // A dimension that is not there has one index, which lies inside.
    for (const word of SIZES) words[word] = 1;
    for (const word of INSIDE) words[word] = 1;
    words[MOVE.tasks] = tasks;
    writeMove(words, move);
    heap.int32().set(words, this.word);
  }

  patch(words: Int32Array): void {
    const {word, move, inputs, outputs} = this;
    if (move.kind === 'streams') {
      const {streams} = move;
      let at = word + MOVE_WORDS;
      for (let i = 0; i < streams.length; ++i, at += STREAM_WORDS) {
        const {input, output, fromOffset, toOffset} = streams[i];
        words[at + STREAM.from] = inputs[input] + fromOffset;
        words[at + STREAM.to] = outputs[output] + toOffset;
      }
      return;
    }
    words[word + MOVE.from] = (inputs[0] ?? 0) + (move.kind === 'box' ? move.fromOffset : 0);
    words[word + MOVE.to] = outputs[0];
  }

  setValue(heap: Heap, value: number, dtype: Dtype): void {
    const at = this.word + MOVE.value;
    if (dtype === 'float32') heap.float32()[at] = value;
    else heap.int32()[at] = dtype === 'bool' ? (value & 0xff) * 0x01010101 : value;
  }
}

// Word by word, as a convolution's record is.
function writeMove(words: Int32Array, move: Move): void {
  switch (move.kind) {
    case 'streams':
      words[MOVE.move] = MOVES.streams;
      words[MOVE.rows] = move.rows;
      words[MOVE.streams] = move.streams.length;
      move.streams.forEach(({run, fromStep, toStep}, i) => {
        const at = MOVE_WORDS + i * STREAM_WORDS;
        words[at + STREAM.run] = run;
        words[at + STREAM.fromStep] = fromStep;
        words[at + STREAM.toStep] = toStep;
      });
      return;
    case 'box':
      words[MOVE.move] = MOVES.box;
      words[MOVE.run] = move.box.run;
      writeDimensions(words, move.box.outer);
      return;
    case 'fill':
      words[MOVE.move] = MOVES.fill;
      words[MOVE.run] = move.bytes;
      return;
    case 'pad':
      writePad(words, move);
      return;
    case 'transpose':
      writeTranspose(words, move);
      return;
    case 'cast':
      words[MOVE.move] = CASTS[`${move.from}-${move.to}`] ?? 0;
      words[MOVE.run] = move.count;
  }
}

function writeDimensions(words: Int32Array, dimensions: readonly Dimension[]): void {
  let rows = 1;
  dimensions.forEach(({size, from, to}, i) => {
    words[SIZES[i]] = size;
    words[FROM[i]] = from;
    words[TO[i]] = to;
    rows *= size;
  });
  words[MOVE.rows] = rows;
}

function writePad(words: Int32Array, {run, outer}: Extract<Move, {kind: 'pad'}>): void {
  words[MOVE.move] = MOVES.pad;
  words[MOVE.run] = run.inside;
  words[MOVE.runBefore] = run.before;
  words[MOVE.runAfter] = run.after;
  let from = run.inside;
  let rows = 1;
  outer.forEach(({before, inside, after}, i) => {
    const size = before + inside + after;
    words[SIZES[i]] = size;
    words[FROM[i]] = from;
    words[FIRST[i]] = before;
    words[INSIDE[i]] = inside;
    from *= inside;
    rows *= size;
  });
  words[MOVE.rows] = rows;
}

function writeTranspose(words: Int32Array, {plane, outer}: Extract<Move, {kind: 'transpose'}>): void {
  const {across, toAcross, down, fromDown} = plane;
  words[MOVE.move] = MOVES.transpose;
  words[MOVE.across] = across;
  words[MOVE.toAcross] = toAcross;
  words[MOVE.down] = down;
  words[MOVE.fromDown] = fromDown;
  writeDimensions(words, [
    {size: Math.ceil(down / BLOCK_DOWN), from: BLOCK_DOWN * fromDown, to: 4 * BLOCK_DOWN},
    {size: Math.ceil(across / BLOCK_ACROSS), from: 4 * BLOCK_ACROSS, to: BLOCK_ACROSS * toAcross},
    ...outer,
  ]);
}
