import type {ConvGeometry} from './geometry.ts';

/**
 * Why tfjs's own wasm kernel computes this convolution wrongly, or `undefined`
 * where it is right. What is named here must never be sent to it.
 *
 * The stock kernel hands XNNPACK the padding and lets it derive the output size
 * again; tfjs allocates the output by a rule of its own. Where the two differ,
 * XNNPACK writes other pixels than tfjs expects, past the end of the output in
 * the worst case:
 *
 * - numeric padding: tfjs derives both sides from the filter's height and the
 *   stride along the height; a rounding mode other than floor differs too;
 * - `'same'` with a stride larger than the filter: XNNPACK's total padding,
 *   `(out - 1) * stride + filter - in`, is below zero and wraps around.
 *
 * And its depthwise kernels take no notice of the data format: NCHW is read as NHWC.
 */
export function stockDefect(geometry: ConvGeometry): string | undefined {
  if (geometry.outHeight === 0 || geometry.outWidth === 0) return undefined;
  if (geometry.channelMultiplier !== undefined && geometry.dataFormat === 'NCHW') {
    return 'a depthwise convolution in NCHW';
  }
  const {filterHeight, filterWidth} = geometry;
  const height = side(
    geometry.inHeight,
    geometry.outHeight,
    filterHeight,
    geometry.dilationHeight,
    geometry.strideHeight,
    geometry.padTop + geometry.padBottom,
  );
  const width = side(
    geometry.inWidth,
    geometry.outWidth,
    filterWidth,
    geometry.dilationWidth,
    geometry.strideWidth,
    geometry.padLeft + geometry.padRight,
  );
  if (geometry.padType === 'SAME') {
    const wraps = height.samePadding < 0 || width.samePadding < 0;
    return wraps && filterHeight * filterWidth > 1
      ? "'same' padding with a stride larger than the filter"
      : undefined;
  }
  return height.agrees && width.agrees ? undefined : 'an output size that XNNPACK derives differently';
}

function side(
  input: number,
  output: number,
  filter: number,
  dilation: number,
  stride: number,
  padding: number,
) {
  const extent = (filter - 1) * dilation + 1;
  return {
    samePadding: (output - 1) * stride + extent - input,
    agrees: Math.floor((input + padding - extent) / stride) + 1 === output,
  };
}
