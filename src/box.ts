// Where values lie that are moved: boxes of as few dimensions as may be.

/** A dimension of what is moved. */
export interface Dimension {
  readonly size: number;
  /** Bytes from one index to the next where it is read; 0 where the same is read again. */
  readonly from: number;
  /** The same where it is written. */
  readonly to: number;
}

/** Bytes that lie without a gap on both sides, and the dimensions outside, the innermost one first. */
export interface Box {
  readonly run: number;
  readonly outer: readonly Dimension[];
}

export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes from one index to the next, for each dimension. */
export function stridesOf(shape: readonly number[], valueBytes: number): number[] {
  const strides: number[] = [];
  let stride = valueBytes;
  for (let i = shape.length - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/**
 * The box that dimensions come to.
 *
 * @param dimensions The outermost one first, none of them empty.
 */
export function boxOf(dimensions: readonly Dimension[], valueBytes: number): Box {
  const outer: Dimension[] = [];
  for (const dimension of [...dimensions].reverse()) {
    if (dimension.size === 1) continue;
    const inner = outer.at(-1) ?? {size: 1, from: valueBytes, to: valueBytes};
    const goesOn = dimension.from === inner.size * inner.from && dimension.to === inner.size * inner.to;
    if (!goesOn) outer.push(dimension);
    else outer.splice(-1, 1, {...inner, size: inner.size * dimension.size});
  }
  const [first] = outer;
  const isRun = first !== undefined && first.from === valueBytes && first.to === valueBytes;
  return isRun ? {run: first.size * valueBytes, outer: outer.slice(1)} : {run: valueBytes, outer};
}
