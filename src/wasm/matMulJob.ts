import type {MatMulPlan, MatrixStrides} from '../matMulPlan.ts';
import type {Heap} from './heap.ts';
import {MATMUL, MATMUL_WORDS} from './job.generated.ts';
import {ACTIVATIONS} from './job.ts';

export const MATMUL_BYTES = 4 * MATMUL_WORDS;

type Field = keyof typeof MATMUL;
type Fields = Partial<Record<Field, number>>;

/** Batches, and of each so many tasks along its rows and its columns, that are computed at a time. */
export interface Slice {
  readonly firstBatch: number;
  readonly batches: number;
  readonly firstRowTask: number;
  readonly rowTasks: number;
  readonly firstColumnTask: number;
  readonly columnTasks: number;
}

/** Where a call's tensors lie, and what is gathered and packed of them; and whether tiles are tall. */
type OfCall = Readonly<
  Record<'a' | 'b' | 'bias' | 'slope' | 'output' | 'gathered' | 'panels' | 'tall', number>
>;

/** A record in the heap, as kernels/matmul.def has it: written once, patched at each call. */
export class MatMulJob {
  /** In bytes. */
  readonly offset: number;
  private readonly word: number;
  private readonly heap: Heap;

  constructor(heap: Heap, offset: number, plan: MatMulPlan) {
    this.heap = heap;
    this.offset = offset;
    this.word = offset >>> 2;
    const {product, activation, rowsPerTask, columnsPerTask} = plan;
    const {batchShape, rows, depth, columns, a, b, bias, slope} = product;
    heap.int32().fill(0, this.word, this.word + MATMUL_WORDS);
    this.set({
      rows,
      depth,
      columns,
      aRow: a.row,
      aDepth: a.column,
      bDepth: b.row,
      bColumn: b.column,
      ...numbered('size', [...batchShape].reverse(), 1),
      ...batchFields('a', a),
      ...batchFields('b', b),
      ...batchFields('bias', bias),
      ...batchFields('slope', slope),
      activation: ACTIVATIONS[activation],
      biasRow: bias?.row,
      biasColumn: bias?.column,
      slopeRow: slope?.row,
      slopeColumn: slope?.column,
      rowsPerTask,
      columnsPerTask,
    });
    this.setFloat('low', activation === 'linear' ? Number.NEGATIVE_INFINITY : 0);
    this.setFloat('high', activation === 'relu6' ? 6 : Number.POSITIVE_INFINITY);
  }

  set(fields: Fields): void {
    const words = this.heap.int32();
    for (const name in fields) words[this.word + MATMUL[name as Field]] = fields[name as Field] ?? 0;
  }

  setCall(call: OfCall): void {
    const words = this.heap.int32();
    const {word} = this;
    words[word + MATMUL.a] = call.a;
    words[word + MATMUL.b] = call.b;
    words[word + MATMUL.bias] = call.bias;
    words[word + MATMUL.slope] = call.slope;
    words[word + MATMUL.output] = call.output;
    words[word + MATMUL.gathered] = call.gathered;
    words[word + MATMUL.panels] = call.panels;
    words[word + MATMUL.tall] = call.tall;
  }

  setFloat(field: Field, value: number): void {
    this.heap.float32()[this.word + MATMUL[field]] = value;
  }

  /** Where a field lies, for a field that points to another. */
  at(field: Field): number {
    return this.offset + 4 * MATMUL[field];
  }

  setSlice(
    {firstBatch, firstRowTask, rowTasks, firstColumnTask, columnTasks}: Slice,
    batchPanels: number,
  ): void {
    const words = this.heap.int32();
    const {word} = this;
    words[word + MATMUL.firstBatch] = firstBatch;
    words[word + MATMUL.firstRowTask] = firstRowTask;
    words[word + MATMUL.rowTasks] = rowTasks;
    words[word + MATMUL.firstColumnTask] = firstColumnTask;
    words[word + MATMUL.columnTasks] = columnTasks;
    words[word + MATMUL.batchPanels] = batchPanels;
  }
}

function batchFields(name: 'a' | 'b' | 'bias' | 'slope', strides: MatrixStrides | undefined): Fields {
  return numbered(name, [...(strides?.batch ?? [])].reverse(), 0);
}

/** The batch's dimensions, from the innermost one on. */
function numbered(name: string, values: readonly number[], missing: number): Fields {
  return Object.fromEntries([0, 1, 2, 3].map((i) => [`${name}${i}`, values[i] ?? missing]));
}
