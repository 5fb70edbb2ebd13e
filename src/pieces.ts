// Data that moves piece by piece: what a stride a dimension cannot say.

/** Indices of a dimension that lie evenly apart where they are read and where they are written. In bytes. */
export interface Piece {
  readonly size: number;
  /** The first index, and from there to the next. */
  readonly from: number;
  readonly fromStep: number;
  readonly to: number;
  readonly toStep: number;
  /** There is nothing to read: zeros are written. */
  readonly outside?: true;
}

/** The pieces of a dimension, none of them empty. A value is where those of all dimensions together say. */
export type PiecedDimension = readonly Piece[];

export interface Pieces {
  /** What lies without a gap on both sides. */
  readonly run: number;
  /** At least one; the innermost one first. */
  readonly dimensions: readonly PiecedDimension[];
}

/** How far an index of an axis is from the next on both sides. */
export interface Strides {
  readonly from: number;
  readonly to: number;
}

/** The pieces that a dimension may have: a record holds them all, and each row looks for its own. */
const MOST_PIECES = 1024;

/**
 * What dimensions come to.
 *
 * @param dimensions The outermost one first.
 * @returns The pieces, or why there are none.
 */
export function pieced(dimensions: readonly PiecedDimension[], valueBytes: number): Pieces | string {
  if (dimensions.some(({length}) => length > MOST_PIECES)) {
    return `a dimension has more than ${MOST_PIECES} pieces`;
  }
  let run = valueBytes;
  const outer: PiecedDimension[] = [];
  for (const dimension of [...dimensions].reverse()) {
    const [piece] = dimension;
    if (!isWhole(dimension)) {
      outer.push(dimension);
      continue;
    }
    const {size, fromStep, toStep} = piece;
    const inner = outer.at(-1);
    if (size === 1) continue;
    if (inner === undefined && fromStep === run && toStep === run) {
      run *= size;
    } else if (inner !== undefined && isWhole(inner) && goesOn(piece, inner[0])) {
      outer.splice(-1, 1, [{...inner[0], size: inner[0].size * size}]);
    } else {
      outer.push(dimension);
    }
  }
  return {run, dimensions: outer.length > 0 ? outer : [whole(1, {from: run, to: run})]};
}

const isWhole = (dimension: PiecedDimension): boolean => {
  const [{from, to, outside}] = dimension;
  return dimension.length === 1 && from === 0 && to === 0 && outside === undefined;
};

const goesOn = ({fromStep, toStep}: Piece, inner: Piece): boolean =>
  fromStep === inner.size * inner.fromStep && toStep === inner.size * inner.toStep;

const isFilled = ({size}: Piece): boolean => size > 0;

/** An axis that stays as it is. */
export function whole(size: number, {from, to}: Strides): PiecedDimension {
  return [{size, from: 0, to: 0, fromStep: from, toStep: to}];
}

/**
 * An axis with its mirror image on both sides.
 *
 * @param offset How far the mirror's first index is from the edge: 1 if the edge is not repeated.
 */
export function mirrored(
  size: number,
  [before, after]: readonly number[],
  offset: number,
  {from, to}: Strides,
): PiecedDimension {
  const mirror = (first: number, at: number, count: number): Piece => ({
    size: count,
    from: first * from,
    fromStep: -from,
    to: at * to,
    toStep: to,
  });
  return [
    mirror(before - 1 + offset, 0, before),
    {size, from: 0, fromStep: from, to: before * to, toStep: to},
    mirror(size - 1 - offset, before + size, after),
  ].filter(isFilled);
}

/** An axis and the batches that it is taken apart to, or put together from. */
export interface Blocked {
  /** Indices of the axis where it is in one. */
  readonly size: number;
  /** What it has in front in terms of blocks: a padding that is taken apart with it, or a crop. */
  readonly before: number;
  readonly block: number;
  /** Indices of each batch. */
  readonly batchSize: number;
  /** From an index of the axis to the next, of a batch, and from a batch to the next. */
  readonly stride: number;
  readonly innerStride: number;
  readonly batchStride: number;
}

/** For each batch its first index that lies in the axis, and the one after its last. */
function batchesOf({size, before, block, batchSize}: Blocked) {
  const within = (index: number) => Math.min(batchSize, Math.max(0, Math.ceil(index / block)));
  return Array.from({length: block}, (_, batch) => ({
    batch,
    first: within(before - batch),
    last: within(before + size - batch),
  }));
}

/** Every `block`-th index in a batch of its own. */
export function takenApart(blocked: Blocked): PiecedDimension {
  const {before, block, batchSize, stride, innerStride: toStep, batchStride} = blocked;
  return batchesOf(blocked).flatMap(({batch, first, last}) => {
    const to = (index: number) => batch * batchStride + index * toStep;
    const outside = (at: number, size: number): Piece => ({
      size,
      from: 0,
      fromStep: 0,
      to: to(at),
      toStep,
      outside: true,
    });
    const from = (first * block + batch - before) * stride;
    return [
      outside(0, first),
      {size: last - first, from, fromStep: block * stride, to: to(first), toStep},
      outside(last, batchSize - last),
    ].filter(isFilled);
  });
}

/** The reverse of `takenApart`. */
export function putTogether(blocked: Blocked): PiecedDimension {
  const {before, block, stride, innerStride, batchStride} = blocked;
  return batchesOf(blocked)
    .map(({batch, first, last}) => ({
      size: last - first,
      from: batch * batchStride + first * innerStride,
      fromStep: innerStride,
      to: (first * block + batch - before) * stride,
      toStep: block * stride,
    }))
    .filter(isFilled);
}
