// How data moves.
import {type Box, boxOf, type Dimension, stridesOf} from './box.ts';
import type {Dtype} from './tensorSpec.ts';

/** Rows of one input that come to lie in one output. In bytes. */
export interface Stream {
  /** Which of the call's inputs, and of its outputs. */
  readonly input: number;
  readonly output: number;
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly run: number;
  readonly fromStep: number;
  readonly toStep: number;
}

/** A dimension of a padded box: indices before, inside and after it. */
export interface Padding {
  readonly before: number;
  readonly inside: number;
  readonly after: number;
}

/** How data moves. Lengths are in bytes. */
export type Move =
  | {readonly kind: 'streams'; readonly rows: number; readonly streams: readonly Stream[]}
  | {readonly kind: 'box'; readonly box: Box; readonly fromOffset: number}
  | {readonly kind: 'fill'; readonly bytes: number}
  | {
      readonly kind: 'pad';
      /** What a row has in front of what is copied, of it, and behind. */
      readonly run: Padding;
      /** The innermost one first. */
      readonly outer: readonly Padding[];
    }
  | {readonly kind: 'transpose'; readonly plane: Plane; readonly outer: readonly Dimension[]}
  | {readonly kind: 'cast'; readonly from: Dtype; readonly to: Dtype; readonly count: number};

/** Values of four bytes: those side by side where they are read are `toAcross` apart where they are written. */
export interface Plane {
  readonly across: number;
  readonly toAcross: number;
  /** Side by side where they are written, `fromDown` apart where they are read. */
  readonly down: number;
  readonly fromDown: number;
}

/** The dimensions that a record has room for. */
const MOST_DIMENSIONS = 6;
const TOO_MANY = `more than ${MOST_DIMENSIONS} dimensions`;

/** All of the first input, as it is. */
export function copyAll(bytes: number, fromOffset = 0): Move {
  const stream = {input: 0, output: 0, fromOffset, toOffset: 0, run: bytes, fromStep: 0, toStep: 0};
  return {kind: 'streams', rows: 1, streams: [stream]};
}

/**
 * Values of the first input, wherever they lie, side by side in the output.
 *
 * @param dimensions The output's, the outermost one first, none of them empty.
 * @returns The move, or why there is none.
 */
export function copyBox(dimensions: readonly Dimension[], valueBytes: number, fromOffset = 0): Move | string {
  const box = boxOf(dimensions, valueBytes);
  const {run, outer} = box;
  if (outer.length === 0) return copyAll(run, fromOffset);
  if (outer.length > MOST_DIMENSIONS) return TOO_MANY;
  const [inner, next, ...rest] = outer;
  // A few short runs are not worth a loop of their own.
  const isShort = next !== undefined && inner.size * run < 64 && inner.size < next.size;
  return {kind: 'box', box: isShort ? {run, outer: [next, inner, ...rest]} : box, fromOffset};
}

/** A tensor's dimensions in another order. */
export function transposed(
  shape: readonly number[],
  perm: readonly number[],
  valueBytes: number,
): Move | string {
  const from = stridesOf(shape, valueBytes);
  const outShape = perm.map((axis) => shape[axis]);
  const to = stridesOf(outShape, valueBytes);
  const dimensions = perm.map((axis, i) => ({size: shape[axis], from: from[axis], to: to[i]}));
  const {run, outer} = boxOf(dimensions, valueBytes);
  const [inner] = outer;
  const across = outer.find((dimension) => dimension.from === valueBytes);
  if (valueBytes !== 4 || run > valueBytes || inner?.to !== valueBytes || across === undefined) {
    return copyBox(dimensions, valueBytes);
  }
  const rest = outer.filter((dimension) => dimension !== inner && dimension !== across);
  // Two are for the plane's blocks.
  if (rest.length > MOST_DIMENSIONS - 2) return TOO_MANY;
  const plane = {across: across.size, toAcross: across.to, down: inner.size, fromDown: inner.from};
  return {kind: 'transpose', plane, outer: rest};
}

/** A tensor, not an empty one, with values of a kind around it. */
export function padded(paddings: readonly Padding[], valueBytes: number): Move | string {
  let run = {before: 0, inside: valueBytes, after: 0};
  const outer: Padding[] = [];
  const within = (padding: Padding, {before, inside, after}: Padding) => {
    const size = padding.inside;
    return {before: before * size, inside: inside * size, after: after * size};
  };
  const isWhole = ({before, after}: Padding) => before === 0 && after === 0;
  for (const padding of [...paddings].reverse()) {
    const inner = outer.at(-1);
    if (inner === undefined && isWhole(run)) run = within(run, padding);
    else if (inner !== undefined && isWhole(inner)) outer.splice(-1, 1, within(inner, padding));
    else outer.push(padding);
  }
  if (outer.length === 0 && isWhole(run)) return copyAll(run.inside);
  // The first is the run's.
  return outer.length > MOST_DIMENSIONS - 1 ? TOO_MANY : {kind: 'pad', run, outer};
}
