export interface Interval {
  readonly median: number;
  /** The median's 95 % interval. */
  readonly low: number;
  readonly high: number;
}

/**
 * The median with a distribution-free 95 % interval: the order statistics
 * between which the median lies with that probability, by the binomial
 * distribution. Below six values it is their whole range.
 */
export function medianInterval(values: readonly number[]): Interval {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const middle = n >> 1;
  const median = n % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return {median, low: sorted[lowRank(n)], high: sorted[n - 1 - lowRank(n)]};
}

function lowRank(n: number): number {
  // Beyond this the powers leave the range of floats, and the normal distribution will do.
  if (n > 500) return Math.floor(n / 2 - 0.98 * Math.sqrt(n)) - 1;
  // The largest k of which P(fewer than k values lie below the median) <= 2.5 %.
  let tail = 0.5 ** n;
  let choose = 1;
  let k = 0;
  while (tail <= 0.025) {
    ++k;
    choose = (choose * (n - k + 1)) / k;
    tail += choose * 0.5 ** n;
  }
  return Math.max(0, k - 1);
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** The largest difference of two lists of outputs, each relative to its largest value; NaN if there is one. */
export function relativeDifference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.max(
    ...a.map((values, i) => {
      let largest = 0;
      let scale = 0;
      values.forEach((value, j) => {
        largest = Math.max(largest, Math.abs(value - b[i][j]));
        scale = Math.max(scale, Math.abs(value));
      });
      return scale > 0 ? largest / scale : largest;
    }),
  );
}
