export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The largest |a - b|, and the largest |a|. */
export function difference(a: Float32Array, b: Float32Array): {largest: number; scale: number} {
  let largest = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  let scale = 0;
  for (let i = 0; i < a.length; ++i) {
    const distance = Math.abs(a[i] - b[i]);
    if (!(distance <= largest)) largest = distance;
    scale = Math.max(scale, Math.abs(a[i]));
  }
  return {largest, scale};
}
