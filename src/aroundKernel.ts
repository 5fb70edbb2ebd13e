// A kernel around a convolution: what the family in around.ts asks of each, and the plan that it makes.
import type {NamedTensorInfoMap, TensorInfo} from '@tensorflow/tfjs-core';
import type {BatchNorm} from './batchNorm.ts';
import type {Binary} from './binary.ts';
import {describe, InvalidArgument} from './describe.ts';
import type {Call, Kernel} from './family.ts';
import type {MemoryTasks} from './memoryTasks.ts';
import type {Move} from './move.ts';
import type {Pieces} from './pieces.ts';
import type {Pooling} from './pooling.ts';
import type {Reduction} from './reduction.ts';
import type {Resizing} from './resizing.ts';
import type {Signature} from './signature.ts';
import type {TensorSpec} from './tensorSpec.ts';
import type {Unary} from './unary.ts';
import type {Zip} from './zip.ts';

/** What is to be done, named after the record in kernels/ that says it to wasm. */
export type Work =
  | {readonly record: 'batchNorm'; readonly batchNorm: BatchNorm}
  | {readonly record: 'binary'; readonly binary: Binary}
  | {readonly record: 'move'; readonly move: Move}
  | {readonly record: 'pieces'; readonly pieces: Pieces}
  | {readonly record: 'poolGradient'; readonly pooling: Pooling}
  | {readonly record: 'reduce'; readonly reduction: Reduction}
  | {readonly record: 'resize'; readonly resizing: Resizing}
  | {readonly record: 'unary'; readonly unary: Unary; readonly count: number}
  | {readonly record: 'zip'; readonly zip: Zip};

/** What a call comes to. */
export interface Planned {
  /** As a report names it. */
  readonly algorithm: string;
  readonly outputs: readonly TensorSpec[];
  readonly work: Work;
  /** How the work is shared out, where that does not follow from the outputs' bytes. */
  readonly load?: MemoryTasks;
  /** What a thread needs beside the tensors. */
  readonly scratchBytes?: number;
}

export interface AroundPlan extends MemoryTasks {
  readonly algorithm: string;
  readonly outputs: readonly TensorSpec[];
  readonly work: Work;
  readonly scratchBytes: number;
}

export type AroundInputs = Readonly<Record<string, TensorInfo | undefined>> | readonly TensorInfo[];

/** The attributes are unchecked. */
export type AroundCall<Attributes extends object = object> = Call<AroundInputs, Attributes | undefined>;

export interface AroundKernel<Attributes extends object = object> extends Kernel {
  /** tfjs's names of its inputs in the order in which `plan` has them; or they are a list of any length. */
  readonly inputs: 'list' | readonly string[];
  /** How many of the names, from the last one on, a call may leave out. */
  readonly optional?: number;
  /** Its result is a list of tensors. */
  readonly lists?: true;
  /** Adds all that the route depends on but the tensors' shapes and dtypes. See `Family.sign`. */
  sign?(signature: Signature, call: AroundCall<Attributes>): void;
  /**
   * @param inputs Each has a dtype that is ours. `undefined` is one that was left out.
   * @returns Or why the call is tfjs's: an argument that is not valid is for its kernel to refuse.
   */
  plan(inputs: readonly (TensorSpec | undefined)[], attrs: Attributes): Planned | string;
  /**
   * Whether tfjs's kernel is done sooner than a call's route is found. See `Family.leaves`.
   *
   * @param isShared Whether the heap of an instance of tfjs's backend is a shared memory: JavaScript copies that value by value.
   */
  leaves?(call: AroundCall<Attributes>, isShared: (instance: object) => boolean): boolean;
  /** Where the first value of the first input is read, in bytes, where that differs from call to call. */
  offset?(call: AroundCall<Attributes>): number;
  /** What is written where nothing is copied, where that differs from call to call. */
  value?(call: AroundCall<Attributes>): unknown;
}

export const INVALID = 'an argument is not as it should be';
export const EMPTY = 'there is nothing to compute';

/**
 * What becomes of sizes that tfjs's kernel takes as they are, to read or write beyond its tensors.
 *
 * @returns That the call is tfjs's, if they are no list.
 * @throws InvalidArgument if they are.
 */
export function refuse(name: string, value: unknown, shape: readonly number[]): string {
  if (!Array.isArray(value)) return INVALID;
  throw new InvalidArgument(
    `${name} is ${describe(value)}; allowed: whole numbers that fit the shape [${shape}].`,
  );
}

/** @throws InvalidArgument: tfjs's kernel would read or write beyond a tensor whose values have another size. */
export function refuseDtype(name: string, dtype: string, allowed = 'float32'): never {
  throw new InvalidArgument(`${name} has dtype ${dtype}; allowed: ${allowed}.`);
}

export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

export const isList = (value: unknown): value is readonly number[] => Array.isArray(value);

/** What an axis has, or loses, in front and behind. */
const isPair = (value: unknown): value is readonly number[] =>
  isList(value) && value.length === 2 && value.every(isCount);

/** Whether there is a pair for each of so many axes. */
export const isPairs = (value: unknown, length: number): value is readonly (readonly number[])[] =>
  Array.isArray(value) && value.length === length && value.every(isPair);

/** Adds a pair for each of some axes. */
export function signPairs(signature: Signature, pairs: readonly (readonly number[])[] | undefined): void {
  signature.add(pairs?.length);
  for (const pair of pairs ?? []) signature.list(pair);
}

/** Whether a tensor has at most so many values. */
export function isSmall(shape: readonly number[] | undefined, values: number): boolean {
  if (!Array.isArray(shape)) return false;
  let count = 1;
  for (const size of shape) count *= size;
  return count <= values;
}

/** An axis counted from the front, or `undefined` if it is none. */
export function axisOf(axis: unknown, rank: number): number | undefined {
  if (!Number.isInteger(axis)) return undefined;
  const own = (axis as number) < 0 ? (axis as number) + rank : (axis as number);
  return own >= 0 && own < rank ? own : undefined;
}

/** The input of a name. */
export function inputOf(inputs: AroundInputs, name: string): TensorInfo | undefined {
  return (inputs as NamedTensorInfoMap)[name];
}

/** A call's tensors, in their order. */
export function tensorsOf(kernel: AroundKernel, {inputs}: AroundCall): readonly (TensorInfo | undefined)[] {
  if (kernel.inputs === 'list') return inputs as readonly TensorInfo[];
  return kernel.inputs.map((name) => inputOf(inputs, name) ?? undefined);
}
