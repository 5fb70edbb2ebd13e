import {InvalidArgument} from './describe.ts';
import type {ConvGeometry} from './geometry.ts';

/**
 * The bytes of the largest heap that offsets of 32 bits reach. tfjs's `_malloc` takes a
 * size modulo this, so that a larger tensor would get a smaller piece of memory.
 */
export const HEAP_BYTES = 2 ** 32;

// The kernels count rows and columns in signed words of 32 bits: all must stay below this.
const REACH = 2 ** 31;

/** Four bytes for each value of a tensor. */
export function floatBytes(shape: readonly number[]): number {
  let bytes = 4;
  for (const size of shape) bytes *= size;
  return bytes;
}

/**
 * Checks that the wasm backend can hold tensors.
 *
 * @param shapes By the names that errors give them.
 * @param bytesPerValue Of all of them.
 * @throws InvalidArgument if one is larger than any heap: tfjs's kernels would write beyond it.
 */
export function checkBytes(
  shapes: Readonly<Record<string, readonly number[]>>,
  bytesPerValue: 1 | 4 = 4,
): void {
  for (const [name, shape] of Object.entries(shapes)) {
    const bytes = (floatBytes(shape) / 4) * bytesPerValue;
    if (bytes >= HEAP_BYTES) {
      throw new InvalidArgument(
        `${name} of shape [${shape}] takes ${bytes} bytes; allowed: less than ${HEAP_BYTES}, ` +
          "the largest heap of tfjs's wasm backend.",
      );
    }
  }
}

/**
 * Checks a convolution against what the wasm backend can hold and the kernels can count.
 *
 * @param shapes Of the tensors that the call takes and makes, by the names that errors give them.
 * @throws InvalidArgument if a tensor is larger than any heap, or if the rows or columns that the windows reach
 *     leave 32 bits.
 */
export function checkWasmLimits(
  geometry: ConvGeometry,
  shapes: Readonly<Record<string, readonly number[]>>,
): void {
  checkBytes(shapes);
  if (geometry.outShape.includes(0)) return;
  const {padTop, padBottom, padLeft, padRight} = geometry;
  const {strideHeight, strideWidth, dilationHeight, dilationWidth} = geometry;
  const reach = {
    rows:
      geometry.inHeight +
      Math.abs(padTop) +
      Math.abs(padBottom) +
      geometry.outHeight * strideHeight +
      geometry.filterHeight * dilationHeight,
    columns:
      geometry.inWidth +
      Math.abs(padLeft) +
      Math.abs(padRight) +
      geometry.outWidth * strideWidth +
      geometry.filterWidth * dilationWidth,
  };
  for (const [name, value] of Object.entries(reach)) {
    if (value < REACH) continue;
    throw new InvalidArgument(
      `strides [${strideHeight},${strideWidth}], dilations [${dilationHeight},${dilationWidth}] and pads ` +
        `[${padTop},${padBottom}], [${padLeft},${padRight}] reach over ${value} ${name}; ` +
        `allowed: less than ${REACH}.`,
    );
  }
}
