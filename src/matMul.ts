// The family of matrix products.
import {_FusedMatMul, BatchMatMul, type TensorInfo} from '@tensorflow/tfjs-core';
import {type Activation, TFJS_ACTIVATIONS} from './activation.ts';
import type {Call, CallContext, Family, Kernel, OwnRoute, Route} from './family.ts';
import {checkBytes} from './limits.ts';
import {type MatMulPlan, matMulOf, planMatMul} from './matMulPlan.ts';
import {whyNothing} from './policy.ts';
import type {KernelRecord} from './routes.ts';

/** One distinct matrix product that was seen, and what became of it. */
export interface MatMulRecord extends KernelRecord {
  /** As tfjs names it: `BatchMatMul` or `_FusedMatMul`. */
  readonly kernelName: string;
  /** Of a and b. */
  readonly inputShapes: readonly (readonly number[])[];
  /** None where the stock kernel was used. */
  readonly outputShapes: readonly (readonly number[])[];
  readonly dtype: string;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly activation: string;
  /** Whether a bias was fused into the call. */
  readonly bias: boolean;
  readonly algorithm: MatMulPlan['algorithm'] | 'stock';
}

export interface MatMulInputs {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly bias?: TensorInfo | null;
  readonly preluActivationWeights?: TensorInfo | null;
}

interface MatMulAttributes {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly activation?: string;
  readonly leakyreluAlpha?: number;
}

export interface MatMulKernel extends Kernel {
  /** It has a bias and an activation. */
  readonly fused?: true;
}

export type MatMulCall = Call<MatMulInputs, MatMulAttributes | undefined>;
export type MatMulRoute = Route<MatMulPlan>;
export type OwnMatMulRoute = OwnRoute<MatMulRoute>;
export type MatMulFamily = Family<MatMulKernel, MatMulCall, MatMulRoute>;

const KERNELS: readonly MatMulKernel[] = [
  {name: BatchMatMul, op: 'tf.matMul'},
  {name: _FusedMatMul, op: 'tf.fused.matMul', fused: true},
];

export function matMuls(compute: MatMulFamily['compute']): Family {
  const family: MatMulFamily = {
    kernels: KERNELS,
    secondary: true,
    sign(signature, {inputs, attrs}) {
      signature.tensor(inputs.a);
      signature.tensor(inputs.b);
      signature.tensor(inputs.bias);
      signature.tensor(inputs.preluActivationWeights);
      signature.add(attrs?.transposeA);
      signature.add(attrs?.transposeB);
      signature.add(attrs?.activation);
    },
    plan,
    record,
    compute,
  };
  return family;
}

/** @throws InvalidArgument if a tensor is larger than any heap: stock would write beyond it. */
function plan(kernel: MatMulKernel, {inputs, attrs}: MatMulCall, context: CallContext): MatMulRoute {
  const {a, b} = inputs;
  const {bias, preluActivationWeights}: Partial<MatMulInputs> = kernel.fused ? inputs : {};
  const activation = (kernel.fused && attrs?.activation) || 'linear';
  const slope = activation === 'prelu' ? preluActivationWeights : undefined;
  const known = matMulOf(
    {a: a?.shape ?? [], b: b?.shape ?? [], bias: bias?.shape, slope: slope?.shape},
    {transposeA: !!attrs?.transposeA, transposeB: !!attrs?.transposeB},
  );
  if (known !== undefined) checkBytes({a: a.shape, b: b.shape, 'an output': known.outShape});
  const nothing = whyNothing(context);
  if (nothing !== undefined) return {reason: nothing};
  for (const [name, tensor] of Object.entries({a, b, bias})) {
    if (tensor != null && tensor.dtype !== 'float32') return {reason: `${name} has dtype ${tensor.dtype}`};
  }
  if (!TFJS_ACTIVATIONS.some((own) => own === activation)) return {reason: `activation is ${activation}`};
  if (activation === 'prelu' && !SLOPE_DTYPES.includes(slope?.dtype)) {
    return {reason: `preluActivationWeights has dtype ${slope?.dtype}`};
  }
  if (known === undefined) return {reason: 'the shapes are not those of a product'};
  return {plan: planMatMul(known.product, known.outShape, activation as Activation, context)};
}

const SLOPE_DTYPES: readonly (string | undefined)[] = ['float32', 'int32', 'bool'];

function record(
  {inputs, attrs}: MatMulCall,
  {plan: own}: MatMulRoute,
): Omit<MatMulRecord, keyof KernelRecord> {
  const {a, b, bias} = inputs;
  return {
    inputShapes: [a, b].map((tensor) => [...(tensor?.shape ?? [])]),
    outputShapes: own === undefined ? [] : [[...own.outShape]],
    dtype: a?.dtype,
    transposeA: !!attrs?.transposeA,
    transposeB: !!attrs?.transposeB,
    activation: attrs?.activation ?? 'linear',
    bias: bias != null,
  };
}
