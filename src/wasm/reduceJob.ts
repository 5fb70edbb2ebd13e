import {type Reduction, type Repeat, reducedSize} from '../reduction.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {REDUCE, REDUCE_WORDS} from './job.generated.ts';

/** The numbers of kernels/reduce.cpp. */
const REDUCTIONS = {sum: 0, mean: 0, max: 1, min: 1} as const;

/** What makes a value its opposite. */
const SIGN = 0x80000000;

export const REDUCE_RECORD: RecordKind<{readonly record: 'reduce'; readonly reduction: Reduction}> = {
  entry: 'im2win_reduce',
  bytes: () => 4 * REDUCE_WORDS,
  create(heap, at, {reduction}, tasks) {
    const {kind, rows, columns, lines, repeats} = reduction;
    const of = (list: readonly Repeat[], i: number) => list[i] ?? {size: 1, step: 0};
    return new FieldsJob(heap, at, REDUCE, {
      words: {
        reduction: REDUCTIONS[kind],
        tasks,
        divisor: kind === 'mean' ? reducedSize(reduction) : 1,
        flip: kind === 'min' ? SIGN : 0,
        rows,
        columns,
        lines0: of(lines, 0).size,
        lines1: of(lines, 1).size,
        lines2: of(lines, 2).size,
        lineStep0: of(lines, 0).step,
        lineStep1: of(lines, 1).step,
        lineStep2: of(lines, 2).step,
        repeats0: of(repeats, 0).size,
        repeats1: of(repeats, 1).size,
        repeatStep0: of(repeats, 0).step,
        repeatStep1: of(repeats, 1).step,
      },
      inputs: ['x'],
      outputs: ['output'],
    });
  },
};
