// How some axes of a tensor are reduced.
import {stridesOf} from './box.ts';
import {type MemoryTasks, memoryTasks} from './memoryTasks.ts';

export type ReductionKind = 'sum' | 'mean' | 'max' | 'min';

/** A dimension outside the matrix: how many indices it has, and the bytes from one to the next. */
export interface Repeat {
  readonly size: number;
  readonly step: number;
}

export interface Reduction {
  readonly kind: ReductionKind;
  /** Of a matrix without gaps, whose rows are reduced. */
  readonly rows: number;
  readonly columns: number;
  /** Outside of it, the innermost one first: what has outputs of its own. */
  readonly lines: readonly Repeat[];
  /** And what has not. */
  readonly repeats: readonly Repeat[];
}

/** What a record has room for. */
export const MOST_LINES = 3;
export const MOST_REPEATS = 2;

/**
 * @param shape Of a tensor of four bytes a value, none of its axes empty.
 * @param axes Those that are reduced, each once.
 * @returns The reduction, or why there is none.
 */
export function reductionOf(
  shape: readonly number[],
  axes: readonly number[],
  kind: ReductionKind,
): Reduction | string {
  const steps = stridesOf(shape, 4);
  // Neighbours of a kind, the innermost ones first.
  const runs: {size: number; step: number; reduced: boolean}[] = [];
  for (let axis = shape.length - 1; axis >= 0; --axis) {
    if (shape[axis] === 1) continue;
    const reduced = axes.includes(axis);
    const inner = runs.at(-1);
    if (inner?.reduced === reduced) inner.size *= shape[axis];
    else runs.push({size: shape[axis], step: steps[axis], reduced});
  }
  const columns = runs[0]?.reduced === false ? (runs.shift()?.size ?? 1) : 1;
  const rows = runs.shift()?.size ?? 1;
  const outside = (reduced: boolean) =>
    runs.filter((run) => run.reduced === reduced).map(({size, step}) => ({size, step}));
  const lines = outside(false);
  const repeats = outside(true);
  if (lines.length > MOST_LINES || repeats.length > MOST_REPEATS) {
    return `more than ${MOST_LINES} groups of axes are kept, or ${MOST_REPEATS} reduced`;
  }
  return {kind, rows, columns, lines, repeats};
}

const sizeOfAll = (repeats: readonly Repeat[]) => repeats.reduce((size, one) => size * one.size, 1);

/** Values that come to one. */
export const reducedSize = ({rows, repeats}: Reduction): number => rows * sizeOfAll(repeats);

/** Of a task, where the columns are shared out. */
const TASK_COLUMNS = 16;

export function reductionLoad(reduction: Reduction): MemoryTasks {
  const lines = sizeOfAll(reduction.lines);
  const outputs = lines * reduction.columns;
  // Of what is copied as much is written as is read.
  const {tasks, cost} = memoryTasks(4 * Math.max(outputs, (reducedSize(reduction) * outputs) / 2));
  const most = lines > 1 ? lines : Math.ceil(reduction.columns / TASK_COLUMNS);
  return {tasks: Math.min(tasks, most), cost};
}

/** What kernels/reduce.cpp has in the scratch together; and fewer columns than this it reads as 16 times as many. */
const COLUMNS = 2048;
const FEW_COLUMNS = 16;

export function reductionScratch({columns, lines}: Reduction): number {
  const outputs = columns === 1 ? sizeOfAll(lines) : columns;
  const isFew = columns > 1 && columns < FEW_COLUMNS;
  const together = isFew ? (16 + 1) * columns : Math.min(outputs, COLUMNS);
  // Doubles, and a last vector that is not whole.
  return 8 * (together + 4);
}
