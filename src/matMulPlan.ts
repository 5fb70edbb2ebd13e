// What a matrix product is, whichever kernel asks for it, and how it is computed.
import type {Activation} from './activation.ts';
import {sizeOf} from './box.ts';
import type {PlanContext} from './plan.ts';
import {TARGETS, type Target} from './targets.generated.ts';
import {FLOPS_PER_STEP} from './tasks.ts';

/** A matrix of each batch: floats from one row to the next, and from one column; and from one index of a batch dimension to the next. */
export interface MatrixStrides {
  readonly row: number;
  readonly column: number;
  /** In the order of the batch's dimensions; 0 where it is broadcast. */
  readonly batch: readonly number[];
}

/** `rows × depth` times `depth × columns`, for each batch. */
export interface MatMul {
  /** At most {@link MOST_BATCH_DIMENSIONS} of them. */
  readonly batchShape: readonly number[];
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly a: MatrixStrides;
  readonly b: MatrixStrides;
  readonly bias?: MatrixStrides;
  readonly slope?: MatrixStrides;
  /** Whether a and b are tfjs's b and a. */
  readonly swapped: boolean;
}

export const MOST_BATCH_DIMENSIONS = 4;

interface Shapes {
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly bias?: readonly number[];
  readonly slope?: readonly number[];
}

interface Transposes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/**
 * The product of tensors of such shapes, and its own shape; undefined where they make none, or one whose batch has too
 * many dimensions.
 */
export function matMulOf(
  {a, b, bias, slope}: Shapes,
  {transposeA, transposeB}: Transposes,
): {product: MatMul; outShape: readonly number[]} | undefined {
  if (a.length < 2 || b.length < 2) return undefined;
  const [rows, depth] = sides(a, transposeA);
  const [bDepth, columns] = sides(b, transposeB);
  const batchShape = broadcastShape(a.slice(0, -2), b.slice(0, -2));
  if (depth !== bDepth || batchShape === undefined || batchShape.length > MOST_BATCH_DIMENSIONS)
    return undefined;
  const outShape = [...batchShape, rows, columns];
  const operands = [bias, slope].map((shape) => shape && operandStrides(shape, outShape));
  if ((bias !== undefined && !operands[0]) || (slope !== undefined && !operands[1])) return undefined;
  const product: MatMul = {
    batchShape,
    rows,
    depth,
    columns,
    a: {...matrixStrides(a, transposeA), batch: batchStrides(a, batchShape)},
    b: {...matrixStrides(b, transposeB), batch: batchStrides(b, batchShape)},
    bias: operands[0],
    slope: operands[1],
    swapped: false,
  };
  return {product: asVector(asOneBatch(product)), outShape};
}

function sides(shape: readonly number[], transposed: boolean): [number, number] {
  const [first, second] = shape.slice(-2);
  return transposed ? [second, first] : [first, second];
}

/** By NumPy's rules. */
function broadcastShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const pad = (shape: readonly number[]) => [...Array<number>(rank - shape.length).fill(1), ...shape];
  const other = pad(b);
  const sizes = pad(a).map((size, d) => (size === 1 ? other[d] : size));
  return other.every((size, d) => size === 1 || size === sizes[d]) ? sizes : undefined;
}

/** A single row or column lies either way. */
function matrixStrides(shape: readonly number[], transposed: boolean) {
  const [height, width] = shape.slice(-2);
  return transposed && height !== 1 && width !== 1
    ? {row: 1, column: width}
    : transposed
      ? {row: height, column: 1}
      : {row: width, column: 1};
}

/** Strides of a tensor's leading dimensions, for those of the output. */
function batchStrides(shape: readonly number[], batchShape: readonly number[]): number[] {
  return stridesIn(shape, shape.length - 2, batchShape);
}

/** Strides of the first `count` dimensions of a tensor, right-aligned to `outer`; 0 where they are 1 or missing. */
function stridesIn(shape: readonly number[], count: number, outer: readonly number[]): number[] {
  const strides = outer.map(() => 0);
  let stride = sizeOf(shape.slice(count));
  for (let d = count - 1; d >= 0; --d) {
    if (shape[d] !== 1) strides[outer.length - count + d] = stride;
    stride *= shape[d];
  }
  return strides;
}

/** Of a bias or of slopes, whose shape broadcasts to the output's. */
function operandStrides(shape: readonly number[], outShape: readonly number[]): MatrixStrides | undefined {
  const missing = outShape.length - shape.length;
  if (missing < 0 || shape.some((size, d) => size !== 1 && size !== outShape[d + missing])) return undefined;
  const strides = stridesIn(shape, shape.length, outShape);
  const [row, column] = strides.slice(-2);
  return {row, column, batch: strides.slice(0, -2)};
}

/** Batches that share b, and whose rows go on from one to the next, as rows of one matrix. */
function asOneBatch(product: MatMul): MatMul {
  const {batchShape, rows, depth, a, b, bias, slope} = product;
  const batches = sizeOf(batchShape);
  if (batches === 1) {
    const alone = (strides: MatrixStrides) => ({...strides, batch: []});
    return {
      ...product,
      batchShape: [],
      a: alone(a),
      b: alone(b),
      bias: bias && alone(bias),
      slope: slope && alone(slope),
    };
  }
  const goesOn = (strides: MatrixStrides, from: number) => {
    let next = from * rows;
    for (let d = batchShape.length - 1; d >= 0; --d) {
      if (batchShape[d] !== 1 && strides.batch[d] !== next) return false;
      next *= batchShape[d];
    }
    return true;
  };
  const operandsGoOn = [bias, slope].every(
    (strides) => strides === undefined || goesOn(strides, strides.row),
  );
  if (b.batch.some((stride) => stride !== 0) || a.column !== 1 || !goesOn(a, depth) || !operandsGoOn)
    return product;
  return asOneBatch({...product, batchShape: [1], rows: batches * rows});
}

/** A matrix times a column is the column, as a row, times the matrix the other way round: it is read where it lies. */
function asVector(product: MatMul): MatMul {
  const {columns, rows, depth, a, b, bias, slope} = product;
  if (columns !== 1) return product;
  const turned = ({row, column, batch}: MatrixStrides) => ({row: column, column: row, batch});
  // The column's values lie side by side, whichever way it was given.
  const row = {row: depth, column: 1, batch: b.batch};
  return {
    ...product,
    rows: 1,
    columns: rows,
    a: row,
    b: turned(a),
    bias: bias && turned(bias),
    slope: slope && turned(slope),
    swapped: true,
  };
}

export interface MatMulPlan {
  /** The tile of the convolutions, times b in panels; or b where it lies, times few rows. */
  readonly algorithm: 'gemm' | 'gemv';
  readonly target: Target;
  readonly product: MatMul;
  readonly outShape: readonly number[];
  readonly activation: Activation;
  readonly batches: number;
  readonly rowsPerTask: number;
  readonly columnsPerTask: number;
  /** Of a batch. */
  readonly rowTasks: number;
  readonly columnTasks: number;
  /** What all tasks are expected to take, in steps. */
  readonly cost: number;
  /** Whether the rows of a are gathered, since it lies column by column. */
  readonly gathers: boolean;
  /** Whether all batches have the same b. */
  readonly sharesPanels: boolean;
  /** Floats of a packed b. */
  readonly panelFloats: number;
  /** Calls with the same b and the same packing share the packed b, where it is kept. */
  readonly packing: string;
  /** Whether it is kept, from its second use on. */
  readonly keeps: boolean;
  /** The bytes that all kept packings of one b may take together. */
  readonly keptBytes: number;
}

/** Floats of a cache line. */
const LINE = 16;
/** Of b, read by a task. */
const TASK_BYTES = 2 ** 18;
const MOST_TASKS = 16;
/** Shares of the rows that are enough for all threads. */
const ENOUGH_TASKS = 24;
/** What is read from memory in about the time in which four products are added up. */
const BYTES_PER_STEP = 4;
/** What is packed, or gathered, at a time where it is not kept. */
export const SLICE_BYTES = 2 ** 22;
/** Of the time that a product takes; where packing takes less, it is not worth the memory. */
const WORTH_KEEPING = 1 / 40;

export function planMatMul(
  product: MatMul,
  outShape: readonly number[],
  activation: Activation,
  context: PlanContext,
): MatMulPlan {
  const target = TARGETS[context.target];
  const {rows, depth, columns, a, b, batchShape} = product;
  const batches = sizeOf(batchShape);
  const {nr} = target.tile;
  const common = {
    target,
    product,
    outShape,
    activation,
    batches,
    sharesPanels: b.batch.every((stride) => stride === 0),
    packing: `matmul ${depth}x${columns} ${b.column === 1 ? 'rows' : 'columns'}`,
  };
  const products = batches * rows * depth * columns;
  if (rows <= target.fewRows || products === 0) {
    const bytes = 4 * depth * columns;
    const wanted = Math.max(1, Math.min(MOST_TASKS, Math.floor((batches * bytes) / TASK_BYTES)));
    const columnsPerTask = sharedOut(columns, Math.ceil(wanted / Math.max(1, batches)), LINE);
    return {
      ...common,
      algorithm: 'gemv',
      rowsPerTask: rows,
      columnsPerTask,
      rowTasks: 1,
      columnTasks: Math.ceil(columns / columnsPerTask),
      cost: Math.max((batches * bytes) / BYTES_PER_STEP, products / 4),
      gathers: a.column !== 1 && b.column !== 1,
      panelFloats: 0,
      keeps: false,
      keptBytes: 0,
    };
  }
  const most = Math.max(target.blockWindows, Math.floor(target.blockBytes / (4 * depth)));
  const rowTasks = Math.ceil(rows / most);
  const rowsPerTask = Math.ceil(rows / rowTasks);
  const panelFloats = Math.ceil(columns / nr) * nr * depth;
  const wanted = Math.min(target.tasks.full, Math.floor((2 * products) / target.leastWork.full));
  const blocks = batches * Math.ceil(rows / rowsPerTask);
  const shares = Math.max(
    blocks >= ENOUGH_TASKS ? 1 : Math.ceil(wanted / blocks),
    Math.ceil((4 * panelFloats) / SLICE_BYTES),
  );
  const columnsPerTask = sharedOut(columns, shares, nr);
  const stockPacks = sizeOf(outShape.slice(0, -2)) === 1 && a.column === 1 && b.column === 1;
  const keptBytes = context.maxPackedFilterBytes ?? (stockPacks ? 4 * panelFloats : 0);
  return {
    ...common,
    algorithm: 'gemm',
    rowsPerTask,
    columnsPerTask,
    rowTasks: Math.ceil(rows / rowsPerTask),
    columnTasks: Math.ceil(columns / columnsPerTask),
    cost: (2 * products) / FLOPS_PER_STEP,
    gathers: a.column !== 1,
    panelFloats,
    keeps:
      common.sharesPanels &&
      4 * panelFloats <= keptBytes &&
      panelFloats * target.costs.packed >= WORTH_KEEPING * (products / 4),
    keptBytes,
  };
}

/** The least that so many tasks leave of `count` for each, in multiples of `step`. */
function sharedOut(count: number, tasks: number, step: number): number {
  const steps = Math.ceil(count / step);
  return Math.max(1, Math.ceil(steps / Math.max(1, tasks))) * step;
}
