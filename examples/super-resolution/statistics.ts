export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The largest |a - b|, NaN if there is a NaN in either, and the largest |a|. */
export function difference(a: Float32Array, b: Float32Array): {largest: number; scale: number} {
  if (a.length !== b.length) throw new Error(`The outputs have ${a.length} and ${b.length} values.`);
  let largest = 0;
  let scale = 0;
  for (let i = 0; i < a.length; ++i) {
    // Math.max keeps a NaN.
    largest = Math.max(largest, Math.abs(a[i] - b[i]));
    scale = Math.max(scale, Math.abs(a[i]));
  }
  return {largest, scale};
}
