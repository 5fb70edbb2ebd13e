// What a batch normalization computes: its rows, after each of which all parameters are the same again.

export interface BatchNorm {
  /** Values of x. */
  readonly size: number;
  /** Values of a row. */
  readonly row: number;
  /** How many values each parameter has: mean, variance, offset, scale. One that is missing has one. */
  readonly sizes: readonly number[];
  readonly epsilon: number;
}

/** Values of a row that kernels/batch_norm.cpp computes at a time. */
const SEGMENT = 2048;
/** Mean, factor, offset and scale of so many, in bytes. */
export const BATCH_NORM_SCRATCH_BYTES = 4 * 4 * (SEGMENT + 4);

/** Short rows are computed many at a time: so many values, in whole vectors. */
const SHORT = 256;
const USUAL = 512;

/** @param sizes How many values each parameter has, none of them 0. */
export function batchNormOf(size: number, sizes: readonly number[], epsilon: number): BatchNorm {
  const period = Math.max(...sizes);
  // Parameters that fit neither each other nor x are the same again nowhere.
  const fits = period < size && size % period === 0 && sizes.every((own) => period % own === 0);
  const row = !fits
    ? size
    : period < SHORT
      ? Math.min(size, 4 * period * Math.ceil(USUAL / (4 * period)))
      : period;
  return {size, row, sizes, epsilon};
}
