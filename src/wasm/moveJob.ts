import type {Dimension} from '../box.ts';
import type {Move, Padding} from '../move.ts';
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

type Fields = Partial<Record<keyof typeof MOVE, number>>;

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
    const fields: Fields = {...EMPTY_DIMENSIONS, ...fieldsOf(move), tasks};
    for (const name in fields) {
      words[MOVE[name as keyof typeof MOVE]] = fields[name as keyof typeof MOVE] ?? 0;
    }
    if (move.kind === 'streams') {
      move.streams.forEach(({run, fromStep, toStep}, i) => {
        const at = MOVE_WORDS + i * STREAM_WORDS;
        words[at + STREAM.run] = run;
        words[at + STREAM.fromStep] = fromStep;
        words[at + STREAM.toStep] = toStep;
      });
    }
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

/** A dimension of one index, which lies inside. */
const EMPTY_DIMENSIONS: Fields = {
  size0: 1,
  size1: 1,
  size2: 1,
  size3: 1,
  size4: 1,
  size5: 1,
  inside0: 1,
  inside1: 1,
  inside2: 1,
  inside3: 1,
  inside4: 1,
};

function fieldsOf(move: Move): Fields {
  switch (move.kind) {
    case 'streams':
      return {move: MOVES.streams, rows: move.rows, streams: move.streams.length};
    case 'box':
      return {
        move: MOVES.box,
        run: move.box.run,
        rows: rowsOf(move.box.outer),
        ...dimensionFields(move.box.outer),
      };
    case 'fill':
      return {move: MOVES.fill, run: move.bytes};
    case 'pad':
      return padFields(move);
    case 'transpose':
      return transposeFields(move);
    case 'cast':
      return {move: CASTS[`${move.from}-${move.to}`], run: move.count};
  }
}

const rowsOf = (dimensions: readonly {readonly size: number}[]) =>
  dimensions.reduce((rows, {size}) => rows * size, 1);

function dimensionFields(dimensions: readonly Dimension[]): Fields {
  return Object.fromEntries(
    dimensions.flatMap(({size, from, to}, i) => [
      [`size${i}`, size],
      [`from${i}`, from],
      [`to${i}`, to],
    ]),
  );
}

function padFields({run, outer}: Extract<Move, {kind: 'pad'}>): Fields {
  let from = run.inside;
  const dimensions = outer.map(({before, inside, after}: Padding) => {
    const dimension = {size: before + inside + after, from, to: 0};
    from *= inside;
    return dimension;
  });
  return {
    move: MOVES.pad,
    run: run.inside,
    runBefore: run.before,
    runAfter: run.after,
    rows: rowsOf(dimensions),
    ...dimensionFields(dimensions),
    ...Object.fromEntries(
      outer.flatMap(({before, inside}, i) => [
        [`first${i}`, before],
        [`inside${i}`, inside],
      ]),
    ),
  };
}

function transposeFields({plane, outer}: Extract<Move, {kind: 'transpose'}>): Fields {
  const {across, toAcross, down, fromDown} = plane;
  const dimensions = [
    {size: Math.ceil(down / BLOCK_DOWN), from: BLOCK_DOWN * fromDown, to: 4 * BLOCK_DOWN},
    {size: Math.ceil(across / BLOCK_ACROSS), from: 4 * BLOCK_ACROSS, to: BLOCK_ACROSS * toAcross},
    ...outer,
  ];
  return {
    move: MOVES.transpose,
    ...plane,
    rows: rowsOf(dimensions),
    ...dimensionFields(dimensions),
  };
}
