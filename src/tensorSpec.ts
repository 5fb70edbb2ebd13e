// Tensors as a plan knows them: without their data.

export type Dtype = 'float32' | 'int32' | 'bool';

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: Dtype;
}

/** What a value takes in tfjs's heap. */
export function bytesOf(dtype: Dtype): 1 | 4 {
  return dtype === 'bool' ? 1 : 4;
}

const DTYPES: readonly (string | undefined)[] = ['float32', 'int32', 'bool'];

/** Whether a tensor's dtype is one that kernels of ours take. */
export function isTensorSpec(tensor: {
  readonly shape: readonly number[];
  readonly dtype: string;
}): tensor is TensorSpec {
  return DTYPES.includes(tensor.dtype);
}
