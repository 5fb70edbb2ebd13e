import {type Activation, type ActivationConstants, activationConstants} from '../activation.ts';
import type {ConvGeometry} from '../geometry.ts';
import type {OperandStrides} from '../operand.ts';
import type {ConvPlan} from '../plan.ts';
import {filterPlace} from '../taps.ts';
import {TARGETS} from '../targets.generated.ts';
import {type ConvTasks, convTasks, type SharedOut, scratchBytes, shareOut} from '../tasks.ts';
import type {Allocation, Heap} from './heap.ts';
import {JOB, JOB_WORDS} from './job.generated.ts';

/** A call descriptor in a scratch, whichever kernels it is for. */
export const CALL_BYTES = Math.max(TARGETS.relaxed.callBytes, TARGETS.strict.callBytes);

const ALGORITHMS = {im2win: 0, winograd: 1, depthwise: 2} as const;
const SOURCES = {input: 0, rows: 1, strips: 2} as const;
/** The numbers of kernels/activation.h. */
export const ACTIVATIONS: Record<Activation, number> = {
  linear: 0,
  relu: 0,
  relu6: 0,
  prelu: 1,
  leakyrelu: 1,
  sigmoid: 2,
  elu: 3,
  tanh: 4,
  silu: 5,
  hardsigmoid: 6,
  hardswish: 7,
  gelu: 8,
  gelu_new: 9,
  clip: 0,
};

type Field = keyof typeof JOB;

// Fields that have the names of what they are copied from.
const OF_GEOMETRY = [
  'batchSize',
  'inHeight',
  'inWidth',
  'inChannels',
  'outHeight',
  'outWidth',
  'outChannels',
  'filterHeight',
  'filterWidth',
  'strideHeight',
  'strideWidth',
  'dilationHeight',
  'dilationWidth',
  'padTop',
  'padLeft',
] as const satisfies readonly Field[];

const OF_STRIP = [
  'depth',
  'phases',
  'windowStride',
  'columnStep',
  'windowStep',
] as const satisfies readonly Field[];

const OF_WINOGRAD = [
  'points',
  'outputs',
  'taps',
  'rowPoints',
  'rowOutputs',
  'rowPhases',
  'tiles',
  'tilesPerPart',
  'tilesPerGather',
  'group',
] as const satisfies readonly Field[];

const OF_TASKS = [
  'images',
  'rowsPerImage',
  'rowsPerBlock',
  'rowBlocks',
  'pixelsPerStrip',
  'stripsPerPhase',
  'strips',
  'stripsPerBlock',
  'gatherTasks',
  'rowsPerGather',
  'panelTasks',
  'channelsPerTask',
  'columnBytes',
  'gatheredBytes',
  'productBytes',
] as const satisfies readonly Field[];

/** Floats from one image, row and pixel of the output to the next. */
export interface OutputStrides {
  readonly image: number;
  readonly row: number;
  readonly pixel: number;
}

/** What a job is made from; all of it is the same in each call of a route. */
export interface JobSpec {
  readonly geometry: ConvGeometry;
  readonly plan: ConvPlan;
  readonly activation: Activation;
  /** The activation's own if missing. */
  readonly constants?: ActivationConstants;
  readonly bias?: OperandStrides;
  readonly slope?: OperandStrides;
  readonly residual?: OperandStrides;
  readonly residualAfterActivation?: boolean;
  /** Where output pixels lie; missing for a tensor of their own. */
  readonly output?: OutputStrides;
  /** Convolutions that differ in their filter, and in the place of their output by so many floats. */
  readonly repeats?: {readonly count: number; readonly outputFloats: number};
  /** A filter that is flipped before it is packed: where its taps are in tfjs's. */
  readonly flip?: {
    readonly filterWidth: number;
    readonly inChannels: number;
    readonly firstRow: number;
    readonly firstColumn: number;
    readonly rowStep: number;
    readonly columnStep: number;
  };
}

/**
 * A record in the heap, as kernels/job.def has it: written once, patched at each call. It is written field by field,
 * and not from an object of all of them: a network's first run would take longer to make these than to write them.
 */
export class Job {
  /** In bytes. */
  readonly offset: number;
  /** In words. */
  readonly word: number;
  private readonly heap: Heap;

  /** With the fields of a convolution alone; all others are 0. */
  constructor(heap: Heap, offset: number, geometry: ConvGeometry) {
    this.heap = heap;
    this.offset = offset;
    this.word = offset >>> 2;
    heap.int32().fill(0, this.word, this.word + JOB_WORDS);
    this.copy(OF_GEOMETRY, geometry);
    this.set('multiplier', geometry.channelMultiplier ?? 0);
    this.set('rowTaps', filterPlace(geometry).rowTaps);
    this.set('planar', geometry.dataFormat === 'NCHW' ? 1 : 0);
  }

  set(field: Field, value: number): void {
    this.heap.int32()[this.word + JOB[field]] = value;
  }

  setFloat(field: Field, value: number): void {
    this.heap.float32()[this.word + JOB[field]] = value;
  }

  /** Where a field lies, for a field that points to another. */
  at(field: Field): number {
    return this.offset + 4 * JOB[field];
  }

  protected copy<Own extends Field>(fields: readonly Own[], from: Readonly<Record<Own, number>>): void {
    const words = this.heap.int32();
    for (const field of fields) words[this.word + JOB[field]] = from[field];
  }
}

/** A convolution's job. */
export class ConvJob extends Job {
  readonly geometry: ConvGeometry;
  readonly plan: ConvPlan;
  readonly tasks: ConvTasks;
  readonly activation: Activation;
  readonly hasBias: boolean;
  readonly hasSlope: boolean;
  readonly hasResidual: boolean;
  /** Where the first tap is in tfjs's filter, in bytes. */
  readonly filterOffset: number;
  /** The tasks, for the threads that `shareOut` was called with last. */
  shared: SharedOut;
  /** Of a thread, for these. */
  scratchBytes: number;
  private threads = 1;

  constructor(heap: Heap, offset: number, spec: JobSpec) {
    const {geometry, plan, activation, bias, slope, residual} = spec;
    const tasks = convTasks(geometry, plan, {
      imagesGoOn: imagesGoOn(spec),
      repeats: spec.repeats?.count ?? 1,
    });
    super(heap, offset, geometry);
    this.setPlan(plan);
    this.copy(OF_TASKS, tasks);
    this.setOutput(spec);
    if (bias !== undefined) this.setOperand('bias', bias);
    if (slope !== undefined) this.setOperand('slope', slope);
    if (residual !== undefined) this.setOperand('residual', residual);
    this.set('residualAfterActivation', spec.residualAfterActivation ? 1 : 0);
    if (spec.flip !== undefined) this.setFlip(spec.flip);
    this.set('activation', ACTIVATIONS[activation]);
    this.set('repeats', spec.repeats?.count ?? 1);
    this.set('repeatOutputFloats', spec.repeats?.outputFloats ?? 0);
    this.set('repeatPanelFloats', plan.algorithm === 'depthwise' ? 0 : plan.panelBytes / 4);
    const {low, high, alpha, beta} = spec.constants ?? activationConstants(activation);
    this.setFloat('low', low);
    this.setFloat('high', high);
    this.setFloat('alpha', alpha);
    this.setFloat('beta', beta);
    // A leakyrelu is a prelu of one slope.
    if (activation === 'leakyrelu') this.set('slope', this.at('alpha'));
    this.geometry = geometry;
    this.plan = plan;
    this.tasks = tasks;
    this.activation = activation;
    this.filterOffset = 4 * filterPlace(geometry).offset;
    this.hasBias = bias !== undefined;
    this.hasSlope = slope !== undefined && activation !== 'leakyrelu';
    this.hasResidual = residual !== undefined;
    this.shared = this.writeShares(1);
    this.scratchBytes = 2 * CALL_BYTES + scratchBytes(tasks, this.shared.ownBytes);
  }

  /** Shares the tasks out to so many threads, for the next calls. */
  shareOut(threads: number): void {
    if (threads === this.threads) return;
    this.threads = threads;
    this.shared = this.writeShares(threads);
    this.scratchBytes = 2 * CALL_BYTES + scratchBytes(this.tasks, this.shared.ownBytes);
  }

  private setPlan(plan: ConvPlan): void {
    this.set('algorithm', ALGORITHMS[plan.algorithm]);
    if (plan.algorithm === 'depthwise') {
      this.set('rowsApart', plan.block.apart ? 1 : 0);
    } else if (plan.algorithm === 'winograd') {
      this.copy(OF_WINOGRAD, plan);
      this.set('shallow', plan.shallow ? 1 : 0);
    } else {
      this.copy(OF_STRIP, plan.strip);
      this.set('source', SOURCES[plan.strip.source]);
      this.set('grouped', plan.strip.grouped ? 1 : 0);
    }
  }

  private setOutput({geometry, output}: JobSpec): void {
    const {outHeight, outWidth, outChannels, dataFormat} = geometry;
    this.set('outImageStride', output?.image ?? outHeight * outWidth * outChannels);
    this.set('outRowStride', output?.row ?? outWidth * outChannels);
    this.set('outPixelStride', output?.pixel ?? outChannels);
    this.set('outPlanes', output === undefined && dataFormat === 'NCHW' ? 1 : 0);
  }

  private setOperand(
    name: 'bias' | 'slope' | 'residual',
    {batch, row, pixel, channel}: OperandStrides,
  ): void {
    this.set(`${name}Batch`, batch);
    this.set(`${name}Row`, row);
    this.set(`${name}Pixel`, pixel);
    this.set(`${name}Channel`, channel);
  }

  private setFlip(flip: Required<JobSpec>['flip']): void {
    this.set('tapWidth', flip.filterWidth);
    this.set('tapChannels', flip.inChannels);
    this.set('firstTapRow', flip.firstRow);
    this.set('firstTapColumn', flip.firstColumn);
    this.set('tapRowStep', flip.rowStep);
    this.set('tapColumnStep', flip.columnStep);
  }

  private writeShares(threads: number): SharedOut {
    const shared = shareOut(this.tasks, threads);
    this.set('wholeBlocks', shared.wholeBlocks);
    this.set('ownBytes', shared.ownBytes);
    return shared;
  }
}

/** Whether output rows and what is added to them of all images can be counted through as if they were one image's. */
function imagesGoOn({geometry, bias, slope, residual, output}: JobSpec): boolean {
  const {outHeight} = geometry;
  return (
    (output === undefined || output.image === outHeight * output.row) &&
    [bias, slope, residual].every(
      (strides) => strides === undefined || strides.batch === outHeight * strides.row,
    )
  );
}

/** The records of an instance's routes, each kept until its route is forgotten. */
export class JobCache {
  private readonly kept = new Map<
    object,
    {readonly allocation: Allocation; readonly jobs: readonly object[]}
  >();
  private readonly heap: Heap;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  /** The jobs of a route, if they were made. */
  find<T extends object>(route: object): readonly T[] | undefined {
    // A route's jobs are of one kind.
    return this.kept.get(route)?.jobs as readonly T[] | undefined;
  }

  /**
   * The jobs of a route, made on its first call.
   *
   * @param count How many it has; `make` is given where each is to be.
   * @param recordBytes What the record of one takes, if it is none of a convolution.
   * @throws Error if out of memory.
   */
  get<T extends object>(
    route: object,
    count: number,
    make: (i: number, offset: number) => T,
    recordBytes = () => RECORD_BYTES,
  ): readonly T[] {
    const known = this.find<T>(route);
    if (known !== undefined) return known;
    const bytes = recordBytes();
    const allocation = this.heap.allocate(count * bytes, "a route's records");
    const jobs = Array.from({length: count}, (_, i) => make(i, allocation.offset + i * bytes));
    this.kept.set(route, {allocation, jobs});
    return jobs;
  }

  forget(route: object): void {
    const known = this.kept.get(route);
    if (known === undefined) return;
    this.heap.free(known.allocation);
    this.kept.delete(route);
  }

  release(): void {
    for (const route of [...this.kept.keys()]) this.forget(route);
  }
}

const RECORD_BYTES = Math.ceil((4 * JOB_WORDS) / 64) * 64;
