// The kernels that compute each value of a tensor by itself: what each is in terms of kernels/unary.cpp.
import {
  backend_util,
  Elu,
  Exp,
  LeakyRelu,
  Reciprocal,
  Rsqrt,
  Selu,
  Sigmoid,
  Sqrt,
  Tanh,
} from '@tensorflow/tfjs-core';
import {type AroundKernel, INVALID, inputOf, isSmall, refuseDtype} from './aroundKernel.ts';
import {sizeOf} from './box.ts';
import {memoryTasks} from './memoryTasks.ts';
import type {Unary, UnaryOp} from './unary.ts';

/** Unchecked; only LeakyRelu has one. */
export interface UnaryAttributes {
  readonly alpha?: number;
}

type UnaryKernel = AroundKernel<UnaryAttributes>;

/** What a kernel says of itself here. */
interface Computer {
  readonly name: string;
  readonly op: string;
  /** What is computed, or of which attributes; `undefined` if these are not as they should be. */
  readonly unary: UnaryOp | Unary | ((attrs: UnaryAttributes) => Unary | undefined);
  /** What a value takes, in copies of one. */
  readonly copies: number;
  /** So many values and fewer are left to tfjs, which has them by the time that a route is found. */
  readonly few: number;
}

/* @__NO_SIDE_EFFECTS__ */
function kernelOf({name, op, unary, copies, few}: Computer): UnaryKernel {
  const unaryOf =
    typeof unary === 'function' ? unary : () => (typeof unary === 'string' ? {op: unary} : unary);
  return {
    name,
    op,
    inputs: ['x'],
    sign(signature, {attrs}) {
      // NaN is not itself.
      signature.add(Number.isNaN(attrs?.alpha) ? 'NaN' : attrs?.alpha);
    },
    plan([x], attrs) {
      if (x?.dtype === 'bool') refuseDtype('x', 'bool');
      if (x?.dtype !== 'float32') return `x has dtype ${x?.dtype}`;
      const own = unaryOf(attrs);
      if (own === undefined) return INVALID;
      const count = sizeOf(x.shape);
      return {
        algorithm: 'unary',
        outputs: [{shape: x.shape, dtype: 'float32'}],
        work: {record: 'unary', unary: own, count},
        load: memoryTasks(4 * count * copies),
      };
    },
    leaves({inputs}) {
      const x = inputOf(inputs, 'x');
      return x?.dtype !== 'bool' && isSmall(x?.shape, few);
    },
  };
}

const leaky = ({alpha}: UnaryAttributes): Unary | undefined =>
  typeof alpha === 'number' ? {op: 'leaky', a: alpha} : undefined;

const selu = (): Unary => ({
  op: 'expUnit',
  a: backend_util.SELU_SCALE,
  b: backend_util.SELU_SCALEALPHA,
});

const COMPUTERS: readonly Computer[] = [
  {name: LeakyRelu, op: 'tf.leakyRelu', unary: leaky, copies: 1, few: 2048},
  {name: Elu, op: 'tf.elu', unary: {op: 'expUnit', a: 1, b: 1}, copies: 4, few: 2048},
  {name: Selu, op: 'tf.selu', unary: selu, copies: 4, few: 512},
  {name: Sigmoid, op: 'tf.sigmoid', unary: 'logistic', copies: 4, few: 2048},
  {name: Tanh, op: 'tf.tanh', unary: 'tanh', copies: 4, few: 64},
  {name: Exp, op: 'tf.exp', unary: 'exp', copies: 4, few: 512},
  {name: Sqrt, op: 'tf.sqrt', unary: 'sqrt', copies: 2, few: 1024},
  {name: Rsqrt, op: 'tf.rsqrt', unary: 'rsqrt', copies: 3, few: 1024},
  {name: Reciprocal, op: 'tf.reciprocal', unary: 'reciprocal', copies: 2, few: 1024},
];

export const UNARY_KERNELS: readonly AroundKernel[] = /* @__PURE__ */ COMPUTERS.map(kernelOf);
