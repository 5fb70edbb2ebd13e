import {type ConvGeometry, inputRowsUnder} from '../geometry.ts';
import type {KernelExports} from './module.ts';

/** An image's side of a block of output rows: what the kernels see as the image. */
export interface InputRows {
  readonly first: number;
  readonly count: number;
  /** Rows of padding above the first, for the block's first output row. */
  readonly padTop: number;
}

/** The input rows under `rows` output rows from `row` on, as far as there are any. */
export function inputRowsOf(geometry: ConvGeometry, row: number, rows: number): InputRows {
  const {inHeight} = geometry;
  const top = row * geometry.strideHeight - geometry.padTop;
  const bottom = top + inputRowsUnder(geometry, rows);
  const first = Math.max(0, Math.min(inHeight, top));
  return {first, count: Math.max(0, Math.min(inHeight, bottom) - first), padTop: first - top};
}

/** Gathers rows of an image [channels, height, width] to [row, width, channels]; offsets are in bytes. */
export function gatherRows(
  kernels: KernelExports,
  to: number,
  image: number,
  [height, width, channels]: readonly [number, number, number],
  first: number,
  count: number,
): void {
  const rowFloats = width * channels;
  kernels.im2win_strip_nchw(
    to,
    image,
    height,
    width,
    channels,
    1,
    first,
    1,
    0,
    1,
    width,
    0,
    1,
    count,
    rowFloats,
    1,
  );
}
