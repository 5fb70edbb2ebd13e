// The record of a job around a convolution: written once for a route, patched at each call.
import type {Work} from '../aroundKernel.ts';
import type {Dtype} from '../tensorSpec.ts';
import type {TaskKernel} from './entries.generated.ts';
import type {Heap} from './heap.ts';

/** A record in the heap. */
export interface AroundJob {
  /** In bytes. */
  readonly offset: number;
  /** Where a call's tensors lie, in bytes; 0 for one that was left out. They are written anew for each call. */
  readonly inputs: number[];
  readonly outputs: number[];
  /** Writes these into the record. */
  patch(words: Int32Array): void;
  /** Writes what is repeated where nothing is copied, as a typed array of its dtype would take it. */
  setValue?(heap: Heap, value: number, dtype: Dtype): void;
}

/** How the records of a kind of work are made. */
export interface RecordKind<W extends Work> {
  /** What computes their tasks. */
  readonly entry: TaskKernel;
  bytes(work: W): number;
  create(heap: Heap, at: number, work: W, tasks: number): AroundJob;
}

/** A record of single fields, of which some say where a tensor lies. */
export class FieldsJob<Layout extends Readonly<Record<string, number>>> implements AroundJob {
  readonly offset: number;
  readonly inputs: number[] = [];
  readonly outputs: number[] = [];
  private readonly inputWords: readonly number[];
  private readonly outputWords: readonly number[];

  /** @param layout Where each field is, in words: one of job.generated.ts. */
  constructor(heap: Heap, offset: number, layout: Layout, fields: JobFields<keyof Layout>) {
    const word = offset >>> 2;
    this.offset = offset;
    this.inputWords = fields.inputs.map((name) => word + layout[name]);
    this.outputWords = fields.outputs.map((name) => word + layout[name]);
    const words = heap.int32();
    words.fill(0, word, word + Object.keys(layout).length);
    for (const name in fields.words) words[word + layout[name]] = fields.words[name] ?? 0;
    const floats = heap.float32();
    for (const name in fields.floats) floats[word + layout[name]] = fields.floats[name] ?? 0;
  }

  patch(words: Int32Array): void {
    const {inputWords, outputWords, inputs, outputs} = this;
    for (let i = 0; i < inputWords.length; ++i) words[inputWords[i]] = inputs[i];
    for (let i = 0; i < outputWords.length; ++i) words[outputWords[i]] = outputs[i];
  }
}

export interface JobFields<Name extends PropertyKey> {
  readonly words: Readonly<Partial<Record<Name, number>>>;
  readonly floats?: Readonly<Partial<Record<Name, number>>>;
  /** The fields of the inputs' places, in the order in which the kernel names them, and of the outputs'. */
  readonly inputs: readonly Name[];
  readonly outputs: readonly Name[];
}
