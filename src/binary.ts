// Two operands value by value, with broadcasting: which rows there are, and how they are computed.
import {boxOf, type Dimension, sizeOf, stridesOf} from './box.ts';

/** What is computed of values a and b; of ops that are not commutative also with both in each other's place. */
export type BinaryOp =
  | 'add'
  | 'sub'
  | 'subFrom'
  | 'mul'
  | 'div'
  | 'divInto'
  | 'max'
  | 'min'
  | 'squaredDifference'
  | 'prelu'
  | 'preluBy'
  | 'equal'
  | 'notEqual'
  | 'less'
  | 'lessEqual'
  | 'greater'
  | 'greaterEqual';

const SWAPPED: Partial<Record<BinaryOp, BinaryOp>> = {
  sub: 'subFrom',
  div: 'divInto',
  prelu: 'preluBy',
  less: 'greater',
  lessEqual: 'greaterEqual',
  greater: 'less',
  greaterEqual: 'lessEqual',
};

/** The output's rows, one after the other, and where their values are read. */
export interface Binary {
  readonly op: BinaryOp;
  /** Operand `a` of the op is the call's second input. */
  readonly swapped: boolean;
  /** How rows are computed: see kernels/binary.cpp. */
  readonly form: 'rows' | 'repeat' | 'expand';
  /** Values of a row; `a` has as many. */
  readonly run: number;
  /** Of a row, in values, the part that is computed at a time. */
  readonly segment: number;
  /** `b` has one value for a row. */
  readonly scalar: boolean;
  /** `a` has as many values as the output. */
  readonly whole: boolean;
  /** How many rows are computed as one, unless each is by itself. */
  readonly patternRows: number;
  /** Outside a row, the innermost one first, in bytes: `from` is a's, `to` is b's. */
  readonly outer: readonly Dimension[];
}

/** The dimensions outside a row that a record has room for. */
const MOST_DIMENSIONS = 5;

/** The values of a part of a row: 16 KiB, so that an engine soon runs its best code even if there is one row. */
const SEGMENT = 4096;
/** Rows as short as that are computed many at a time: with one value of b, and with a value each. */
const SHORT_OF_ONE = 16;
const SHORT = 256;
/** What is computed at a time: less is not worth a pattern. */
const LEAST_REPEATED = 64;
/** The values that the scratch of kernels/binary.cpp holds of an operand, and those that are aimed at. */
const PATTERN = 1024;
const USUAL_PATTERN = 512;
/** All of that scratch, in bytes. */
export const BINARY_SCRATCH_BYTES = 4 * (2 * (PATTERN + 16) + 16);

/** @returns The shape that two are broadcast to, or `undefined` if they do not fit. */
export function broadcastShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const shape: number[] = [];
  const rank = Math.max(a.length, b.length);
  for (let axis = 0; axis < rank; ++axis) {
    const own = a[axis + a.length - rank] ?? 1;
    const other = b[axis + b.length - rank] ?? 1;
    if (own !== other && own !== 1 && other !== 1) return undefined;
    shape[axis] = own === 1 ? other : own;
  }
  return shape;
}

/** Bytes from one index of an output's axis to the next; 0 along axes of which there is one value. */
function broadcastStrides(shape: readonly number[], rank: number): number[] {
  const strides = stridesOf(shape, 4).map((stride, axis) => (shape[axis] === 1 ? 0 : stride));
  return [...new Array<number>(rank - shape.length).fill(0), ...strides];
}

/**
 * An op on float32 operands.
 *
 * @param shape What they are broadcast to; not empty.
 * @returns What is to be done, or why it is left to tfjs.
 */
export function broadcast(
  op: BinaryOp,
  a: readonly number[],
  b: readonly number[],
  shape: readonly number[],
): Binary | string {
  const aStrides = broadcastStrides(a, shape.length);
  const bStrides = broadcastStrides(b, shape.length);
  const box = boxOf(
    shape.map((size, axis) => ({size, from: aStrides[axis], to: bStrides[axis]})),
    4,
  );
  // A run goes on in both; else the innermost dimension is a row of one of them.
  const goesOn = box.run > 4 || box.outer.length === 0;
  const [inner, ...rest] = goesOn ? [{size: box.run / 4, from: 4, to: 4}, ...box.outer] : box.outer;
  const run = inner.size;
  const scalar = inner.from !== inner.to;
  // Rows that lie one after the other are a's, so that b is what is repeated.
  const swapped = scalar ? inner.from === 0 : rest.length > 0 && rest[0].from === 0;
  const outer = swapped ? rest.map(({size, from, to}) => ({size, from: to, to: from})) : rest;
  if (outer.length > MOST_DIMENSIONS) return `more than ${MOST_DIMENSIONS + 1} dimensions`;
  const {form, patternRows} = formOf(run, scalar, outer);
  return {
    op: swapped ? (SWAPPED[op] ?? op) : op,
    swapped,
    form,
    run,
    segment: form === 'rows' && run >= 2 * SEGMENT ? SEGMENT : run,
    scalar,
    whole: sizeOf(swapped ? b : a) === sizeOf(shape),
    patternRows,
    outer,
  };
}

function formOf(
  run: number,
  scalar: boolean,
  [next]: readonly Dimension[],
): Pick<Binary, 'form' | 'patternRows'> {
  if (next === undefined || run >= (scalar ? SHORT_OF_ONE : SHORT)) return {form: 'rows', patternRows: 1};
  if (scalar || run * next.size < LEAST_REPEATED) {
    return {form: 'expand', patternRows: Math.floor(PATTERN / run)};
  }
  // Whole vectors, if there are rows enough.
  const vectors = run % 4 === 0 ? 1 : run % 2 === 0 ? 2 : 4;
  return {form: 'repeat', patternRows: vectors * Math.max(1, Math.floor(USUAL_PATTERN / (run * vectors)))};
}
