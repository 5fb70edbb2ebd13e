// The family of kernels around a convolution.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {
  type AroundCall,
  type AroundKernel,
  type AroundPlan,
  INVALID,
  inputOf,
  type Planned,
  tensorsOf,
} from './aroundKernel.ts';
import {BATCH_NORM_KERNELS} from './batchNormKernels.ts';
import {BINARY_KERNELS} from './binaryKernels.ts';
import {BLOCK_KERNELS} from './blockKernels.ts';
import {sizeOf} from './box.ts';
import type {CallContext, Family, OwnRoute, Route} from './family.ts';
import {checkBytes} from './limits.ts';
import {memoryTasks} from './memoryTasks.ts';
import {MOVE_KERNELS} from './moveKernels.ts';
import {whyNothing} from './policy.ts';
import {POOL_KERNELS} from './poolKernels.ts';
import {REDUCE_KERNELS} from './reduceKernels.ts';
import {RESIZE_KERNELS} from './resizeKernels.ts';
import type {KernelRecord} from './routes.ts';
import type {Signature} from './signature.ts';
import {bytesOf, isTensorSpec, type TensorSpec} from './tensorSpec.ts';
import {UNARY_KERNELS} from './unaryKernels.ts';
import {ZIP_KERNELS} from './zipKernels.ts';

/** One distinct call of a kernel around a convolution, and what became of it. */
export interface AroundRecord extends KernelRecord {
  /** As tfjs names it: `Concat`, `Slice`, `PadV2`, … */
  readonly kernelName: string;
  readonly inputShapes: readonly (readonly number[])[];
  /** None where the stock kernel was used. */
  readonly outputShapes: readonly (readonly number[])[];
  /** Of the first tensor, or of what is filled. */
  readonly dtype?: string;
}

export type AroundRoute = Route<AroundPlan>;
export type OwnAroundRoute = OwnRoute<AroundRoute>;
export type AroundFamily = Family<AroundKernel, AroundCall, AroundRoute>;

// A call that bundlers can leave out: they keep an array into which others are spread.
export const AROUND_KERNELS: readonly AroundKernel[] = /* @__PURE__ */ [
  MOVE_KERNELS,
  BLOCK_KERNELS,
  BINARY_KERNELS,
  ZIP_KERNELS,
  BATCH_NORM_KERNELS,
  UNARY_KERNELS,
  REDUCE_KERNELS,
  RESIZE_KERNELS,
  POOL_KERNELS,
].flat();

/** @param isShared Whether the heap of an instance of tfjs's backend is a shared memory. */
export function around(compute: AroundFamily['compute'], isShared: (instance: object) => boolean): Family {
  const family: AroundFamily = {
    kernels: AROUND_KERNELS,
    secondary: true,
    leaves: (kernel, call) => kernel.leaves?.(call, isShared) === true,
    sign,
    plan,
    record,
    compute,
  };
  return family;
}

function sign(signature: Signature, call: AroundCall, kernel: AroundKernel): void {
  const {inputs} = call;
  if (kernel.inputs === 'list') {
    const list = inputs as readonly TensorInfo[];
    signature.add(list.length);
    for (const tensor of list) signature.tensor(tensor);
  } else {
    for (const name of kernel.inputs) signature.tensor(inputOf(inputs, name));
  }
  kernel.sign?.(signature, call);
}

/** @throws InvalidArgument if an output is larger than any heap: stock would write beyond it. */
function plan(kernel: AroundKernel, call: AroundCall, context: CallContext): AroundRoute {
  const nothing = whyNothing(context);
  if (nothing !== undefined) return {reason: nothing};
  const tensors = tensorsOf(kernel, call);
  const needed = tensors.length - (kernel.optional ?? 0);
  const lacks = tensors.some((tensor, i) => tensor == null && i < needed);
  if (lacks || (kernel.inputs === 'list' && tensors.length === 0)) return {reason: INVALID};
  const other = tensors.find((tensor) => tensor != null && !isTensorSpec(tensor));
  if (other !== undefined) return {reason: `a tensor has dtype ${other.dtype}`};
  const inputs = tensors as readonly (TensorSpec | undefined)[];
  const planned = kernel.plan(inputs, call.attrs ?? {});
  if (typeof planned === 'string') return {reason: planned};
  const {outputs} = planned;
  for (const {shape, dtype} of outputs) checkBytes({'an output': shape}, bytesOf(dtype));
  return {plan: planAround(planned)};
}

/** The plan of what a call comes to. */
export function planAround({load, scratchBytes = 0, ...planned}: Planned): AroundPlan {
  const {outputs} = planned;
  const bytes = outputs.reduce((sum, {shape, dtype}) => sum + sizeOf(shape) * bytesOf(dtype), 0);
  return {...planned, scratchBytes, ...(load ?? memoryTasks(bytes))};
}

function record(call: AroundCall, {plan: own}: AroundRoute): Omit<AroundRecord, keyof KernelRecord> {
  const tensors = Object.values(call.inputs).filter((tensor) => tensor != null);
  return {
    inputShapes: tensors.map(({shape}) => [...shape]),
    outputShapes: (own?.outputs ?? []).map(({shape}) => [...shape]),
    dtype: tensors[0]?.dtype ?? own?.outputs[0].dtype,
  };
}
