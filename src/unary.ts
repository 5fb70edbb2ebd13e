// Functions of one value.

/** By the operation that kernels/unary.cpp knows. */
export type UnaryOp = 'leaky' | 'expUnit' | 'logistic' | 'tanh' | 'exp' | 'sqrt' | 'rsqrt' | 'reciprocal';

/** What is computed of each value. */
export interface Unary {
  readonly op: UnaryOp;
  /** What the operation is told. */
  readonly a?: number;
  readonly b?: number;
}
