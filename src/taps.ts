import type {ConvGeometry} from './geometry.ts';

/**
 * A convolution with the same outputs, without the taps that no window has inside the image, and without a
 * stride along a side of one output. So a dilation may be as wide as it likes. A depthwise convolution of one
 * channel becomes a full one.
 */
export function essential(asked: ConvGeometry): ConvGeometry {
  const {channelMultiplier, ...full} = asked;
  const geometry = asked.inChannels === 1 && channelMultiplier !== undefined ? full : asked;
  const {inHeight, outHeight, filterHeight, strideHeight, dilationHeight, padTop} = geometry;
  const {inWidth, outWidth, filterWidth, strideWidth, dilationWidth, padLeft} = geometry;
  if (geometry.outShape.includes(0)) return geometry;
  const rows = seenAlong(inHeight, outHeight, filterHeight, strideHeight, dilationHeight, padTop);
  const columns = seenAlong(inWidth, outWidth, filterWidth, strideWidth, dilationWidth, padLeft);
  if (rows.count === 0 || columns.count === 0) return withoutTaps(geometry);
  const cut = rows.count < filterHeight || columns.count < filterWidth;
  const height = steps(outHeight, rows.count, strideHeight, dilationHeight);
  const width = steps(outWidth, columns.count, strideWidth, dilationWidth);
  if (!cut && height.stride === strideHeight && width.stride === strideWidth) return geometry;
  const top = padTop - rows.first * dilationHeight;
  const left = padLeft - columns.first * dilationWidth;
  return {
    ...geometry,
    filterHeight: rows.count,
    filterWidth: columns.count,
    strideHeight: height.stride,
    strideWidth: width.stride,
    dilationHeight: height.dilation,
    dilationWidth: width.dilation,
    padTop: top,
    padBottom: (outHeight - 1) * height.stride + (rows.count - 1) * height.dilation + 1 - inHeight - top,
    padLeft: left,
    padRight: (outWidth - 1) * width.stride + (columns.count - 1) * width.dilation + 1 - inWidth - left,
    padType: 'EXPLICIT',
    ...(cut ? {cut: {row: rows.first, column: columns.first, rowTaps: filterWidth}} : {}),
  };
}

/** One side's taps between the first and the last that can meet the input. */
function seenAlong(
  input: number,
  output: number,
  taps: number,
  stride: number,
  dilation: number,
  pad: number,
) {
  const first = Math.max(0, Math.ceil((pad - (output - 1) * stride) / dilation));
  const last = Math.min(taps - 1, Math.floor((pad + input - 1) / dilation));
  return {first, count: Math.max(0, last - first + 1)};
}

/** A side of one output has no stride, and a side of one tap no dilation. */
function steps(output: number, taps: number, stride: number, dilation: number) {
  return {stride: output === 1 ? 1 : stride, dilation: taps === 1 ? 1 : dilation};
}

/** A convolution without taps as one of a single tap that sees no channel: its sums are empty, too. */
function withoutTaps({channelMultiplier: _, ...geometry}: ConvGeometry): ConvGeometry {
  return {
    ...geometry,
    inChannels: 0,
    filterHeight: 1,
    filterWidth: 1,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 0,
    padBottom: 0,
    padLeft: 0,
    padRight: 0,
    padType: 'EXPLICIT',
  };
}

/**
 * A convolution whose filter is as large as its image, as one of a single tap: the image's values are the channels of one
 * pixel, as they lie. Any other as it is.
 */
export function asOnePixel(geometry: ConvGeometry): ConvGeometry {
  const {dataFormat, channelMultiplier, cut, inHeight, inWidth, filterHeight, filterWidth, inChannels} =
    geometry;
  const {outHeight, outWidth, padTop, padLeft, dilationHeight, dilationWidth} = geometry;
  const isOne =
    outHeight * outWidth === 1 &&
    filterHeight === inHeight &&
    filterWidth === inWidth &&
    filterHeight * filterWidth > 1 &&
    padTop === 0 &&
    padLeft === 0 &&
    dilationHeight * dilationWidth === 1;
  if (!isOne || dataFormat !== 'NHWC' || channelMultiplier !== undefined || cut !== undefined)
    return geometry;
  return {
    ...geometry,
    inHeight: 1,
    inWidth: 1,
    filterHeight: 1,
    filterWidth: 1,
    inChannels: filterHeight * filterWidth * inChannels,
  };
}

/** Where the filter of a geometry begins in tfjs's: values, and taps from one row to the next. */
export function filterPlace({cut, filterWidth, inChannels, outChannels, channelMultiplier}: ConvGeometry) {
  const tapValues = channelMultiplier === undefined ? inChannels * outChannels : outChannels;
  return cut === undefined
    ? {offset: 0, rowTaps: filterWidth}
    : {offset: (cut.row * cut.rowTaps + cut.column) * tapValues, rowTaps: cut.rowTaps};
}
