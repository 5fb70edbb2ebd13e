// The family of kernels that move data.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {sizeOf} from './box.ts';
import type {CallContext, Family, OwnRoute, Route} from './family.ts';
import {HEAP_BYTES} from './limits.ts';
import {bytesOf, type MovePlan, planMove} from './move.ts';
import {
  EMPTY,
  INVALID,
  MOVE_KERNELS,
  type MoveCall,
  type MoveKernel,
  type Source,
  sourcesOf,
} from './moveKernels.ts';
import {whyNothing} from './policy.ts';
import type {KernelRecord} from './routes.ts';
import type {Signature} from './signature.ts';

/** One distinct call of a kernel that moves data, and what became of it. */
export interface MoveRecord extends KernelRecord {
  /** As tfjs names it: `Concat`, `Slice`, `PadV2`, … */
  readonly kernelName: string;
  readonly inputShapes: readonly (readonly number[])[];
  /** None where the stock kernel was used. */
  readonly outputShapes: readonly (readonly number[])[];
  /** Of the first tensor, or of what is filled. */
  readonly dtype?: string;
  readonly algorithm: MovePlan['algorithm'] | 'stock';
}

export type MoveRoute = Route<MovePlan>;
export type OwnMoveRoute = OwnRoute<MoveRoute>;
export type MoveFamily = Family<MoveKernel, MoveCall, MoveRoute>;

/** @param stockIsSlow Whether tfjs's copies in JavaScript are slower than ours, on an instance of its backend. */
export function moves(compute: MoveFamily['compute'], stockIsSlow: (instance: object) => boolean): Family {
  const family: MoveFamily = {
    kernels: MOVE_KERNELS,
    secondary: true,
    leaves: (kernel, call) => {
      const few = kernel.stockCopies?.(call);
      return few !== undefined && (few || !stockIsSlow(call.backend));
    },
    sign,
    plan,
    record,
    compute,
  };
  return family;
}

function sign(signature: Signature, call: MoveCall, kernel: MoveKernel): void {
  const {inputs} = call;
  if (Array.isArray(inputs)) {
    signature.add(inputs.length);
    for (const tensor of inputs) signature.tensor(tensor);
  } else {
    signature.tensor(inputs.x ?? inputs.value);
  }
  kernel.sign?.(signature, call);
}

function plan(kernel: MoveKernel, call: MoveCall, context: CallContext): MoveRoute {
  const nothing = whyNothing(context);
  if (nothing !== undefined) return {reason: nothing};
  const sources = sourcesOf(call);
  const other = sources.findIndex((tensor) => !isSource(tensor));
  if (other >= 0) return {reason: `a tensor has dtype ${sources[other]?.dtype}`};
  if (sources.length === 0 && !kernel.inputless) return {reason: INVALID};
  const known = sources as readonly Source[];
  const moved = kernel.moved(known, call.attrs ?? {});
  if (typeof moved === 'string') return {reason: moved};
  const {outputs, move} = moved;
  const sizes = [...known, ...outputs].map(({shape, dtype}) => sizeOf(shape) * bytesOf(dtype));
  if (sizes.some((bytes) => bytes >= HEAP_BYTES)) return {reason: 'a tensor is larger than any heap'};
  if (outputs.every(({shape}) => sizeOf(shape) === 0)) return {reason: EMPTY};
  return {plan: planMove(move, outputs)};
}

const DTYPES: readonly (string | undefined)[] = ['float32', 'int32', 'bool'];

function isSource(tensor: TensorInfo | null | undefined): tensor is TensorInfo & Source {
  return DTYPES.includes(tensor?.dtype);
}

function record(call: MoveCall, {plan: own}: MoveRoute): Omit<MoveRecord, keyof KernelRecord> {
  const sources = sourcesOf(call);
  return {
    inputShapes: sources.map((tensor) => [...(tensor?.shape ?? [])]),
    outputShapes: (own?.outputs ?? []).map(({shape}) => [...shape]),
    dtype: sources[0]?.dtype ?? own?.outputs[0].dtype,
  };
}
