import type {ConvGeometry} from '../geometry.ts';
import type {KernelExports} from './module.ts';

/** Where the kernels write: the output itself, or for NCHW a block of it. */
export interface OutputPlace {
  /** Byte offset of the first value. */
  readonly offset: number;
  /** Floats from one image, row and pixel to the next. */
  readonly image: number;
  readonly row: number;
  readonly pixel: number;
  /** The output that finished blocks are spread over. */
  readonly planes?: {readonly offset: number};
}

export function denseOutput(offset: number, {outHeight, outWidth, outChannels}: ConvGeometry): OutputPlace {
  return {offset, image: outHeight * outWidth * outChannels, row: outWidth * outChannels, pixel: outChannels};
}

/** @param block Byte offset of a block of rows, which one block after the other is written to. */
export function planarOutput(
  offset: number,
  block: number,
  {outWidth, outChannels}: ConvGeometry,
): OutputPlace {
  return {offset: block, image: 0, row: outWidth * outChannels, pixel: outChannels, planes: {offset}};
}

/** The byte offset of a block's pixel. */
export function outputAt(output: OutputPlace, image: number, row: number, pixel: number): number {
  const rows = output.planes === undefined ? image * output.image + row * output.row : 0;
  return output.offset + 4 * (rows + pixel * output.pixel);
}

/** To be called when all pixels of a block of rows are written. */
export function finishBlock(
  kernels: KernelExports,
  {outHeight, outWidth, outChannels}: ConvGeometry,
  {planes, offset}: OutputPlace,
  image: number,
  row: number,
  rows: number,
): void {
  if (planes === undefined) return;
  const planeFloats = outHeight * outWidth;
  kernels.im2win_spread_nchw(
    planes.offset + 4 * (image * outChannels * planeFloats + row * outWidth),
    offset,
    rows * outWidth,
    outChannels,
    planeFloats,
  );
}
