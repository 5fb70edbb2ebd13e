import type {ConvGeometry} from '../geometry.ts';

/** Values from one image, row, pixel and channel of a tensor to the next. */
export interface Strides {
  readonly batch: number;
  readonly row: number;
  readonly pixel: number;
  readonly channel: number;
}

/** Strides of a tensor in the geometry's data format. */
export function layoutStrides(
  {dataFormat}: ConvGeometry,
  height: number,
  width: number,
  channels: number,
): Strides {
  const batch = height * width * channels;
  return dataFormat === 'NHWC'
    ? {batch, row: width * channels, pixel: channels, channel: 1}
    : {batch, row: width, pixel: 1, channel: height * width};
}

/** A tensor's values, and where each is. */
export interface StridedTensor {
  readonly x: ArrayLike<number>;
  readonly strides: Strides;
}

/** Which input columns a strip has: `groups` groups of `columns`, as in kernels/strip.h. */
export interface StripColumns {
  readonly first: number;
  readonly step: number;
  readonly columns: number;
  readonly groupStep: number;
  readonly groups: number;
}

/**
 * Writes the window strip of one output row: [group][column][filterHeight][inChannels]. What lies outside
 * the image is zero.
 */
export function gatherStrip(
  strip: Float64Array,
  {x, strides}: StridedTensor,
  image: number,
  geometry: ConvGeometry,
  outRow: number,
  {first, step, columns, groupStep, groups}: StripColumns,
): void {
  const {filterHeight, inChannels, inHeight, inWidth, dilationHeight} = geometry;
  const start = image * strides.batch;
  const firstRow = outRow * geometry.strideHeight - geometry.padTop;
  if (
    filterHeight === 1 &&
    step === 1 &&
    groups === 1 &&
    strides.channel === 1 &&
    x instanceof Float32Array
  ) {
    // A row of NHWC lies in memory as it does in the strip.
    const outside = firstRow < 0 || firstRow >= inHeight;
    const left = outside ? columns : Math.min(columns, Math.max(0, -first));
    const right = outside ? columns : Math.max(left, Math.min(columns, inWidth - first));
    const from = start + firstRow * strides.row + (first + left) * inChannels;
    strip.fill(0, 0, left * inChannels);
    if (right > left) strip.set(x.subarray(from, from + (right - left) * inChannels), left * inChannels);
    strip.fill(0, right * inChannels, columns * inChannels);
    return;
  }
  let to = 0;
  for (let group = 0; group < groups; ++group) {
    for (let column = 0; column < columns; ++column) {
      const w = first + group * groupStep + column * step;
      const outside = w < 0 || w >= inWidth;
      for (let kh = 0; kh < filterHeight; ++kh) {
        const h = firstRow + kh * dilationHeight;
        if (outside || h < 0 || h >= inHeight) {
          strip.fill(0, to, to + inChannels);
          to += inChannels;
          continue;
        }
        let from = start + h * strides.row + w * strides.pixel;
        for (let ci = 0; ci < inChannels; ++ci) {
          strip[to++] = x[from];
          from += strides.channel;
        }
      }
    }
  }
}
