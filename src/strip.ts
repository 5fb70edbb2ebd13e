import type {ConvGeometry} from './geometry.ts';

/**
 * How the windows of one output row lie in memory. A dilation along the width
 * takes its taps from every `dilationWidth`-th column, so the output pixels are
 * shared out to `phases` strips, each of which holds its taps side by side.
 */
export interface StripLayout {
  /** Floats in a window: filterWidth · filterHeight · inChannels. */
  readonly depth: number;
  /**
   * The windows are read from the input where they lie, a segment for each
   * filter row, and no strip is built: no window reaches into the padding.
   */
  readonly inPlace: boolean;
  readonly phases: number;
  /** Floats from one window to the next. */
  readonly windowStride: number;
  /** Floats from one strip (in place: from one input row) to the next. */
  readonly windowRowStride: number;
  /** Input columns from one strip column to the next. */
  readonly columnStep: number;
  /** Windows that do not overlap are gathered one by one, each a group. */
  readonly grouped: boolean;
  /** Input columns from one window to the next. */
  readonly windowStep: number;
}

/**
 * @param mayReadInPlace Whether windows may be read from the input where that is
 *     possible; else they are always gathered.
 */
export function stripLayout(geometry: ConvGeometry, mayReadInPlace = true): StripLayout {
  const {filterHeight, filterWidth, inChannels, strideWidth, dilationWidth, outWidth} = geometry;
  const depth = filterWidth * filterHeight * inChannels;
  const columnFloats = filterHeight * inChannels;
  if (mayReadInPlace && readsInPlace(geometry)) {
    return {
      depth,
      inPlace: true,
      phases: 1,
      windowStride: strideWidth * inChannels,
      windowRowStride: geometry.strideHeight * geometry.inWidth * inChannels,
      columnStep: 1,
      grouped: false,
      windowStep: strideWidth,
    };
  }
  const common = gcd(strideWidth, dilationWidth);
  const phases = dilationWidth / common;
  const stripStride = strideWidth / common;
  const grouped = stripStride >= filterWidth;
  const longestRow = Math.ceil(outWidth / phases);
  const columns = grouped ? longestRow * filterWidth : (longestRow - 1) * stripStride + filterWidth;
  return {
    depth,
    inPlace: false,
    phases,
    windowStride: grouped ? depth : stripStride * columnFloats,
    windowRowStride: columns * columnFloats,
    columnStep: dilationWidth,
    grouped,
    windowStep: phases * strideWidth,
  };
}

/** Columns of a strip of `pixels` windows: of the whole, or of each group. */
export function stripColumns(
  {windowStep, columnStep, grouped}: StripLayout,
  {filterWidth}: ConvGeometry,
  pixels: number,
) {
  return grouped
    ? {columns: filterWidth, groups: pixels}
    : {columns: (pixels - 1) * (windowStep / columnStep) + filterWidth, groups: 1};
}

/** Values of a strip of `pixels` windows. */
export function stripValues(strip: StripLayout, geometry: ConvGeometry, pixels: number): number {
  const {columns, groups} = stripColumns(strip, geometry, pixels);
  return columns * groups * geometry.filterHeight * geometry.inChannels;
}

/** The strips of an output row: one for each phase, or for each part of one. */
export function* stripsOfRow(
  {outWidth}: ConvGeometry,
  {strip: {phases}, pixelsPerStrip}: {readonly strip: StripLayout; readonly pixelsPerStrip: number},
): Generator<{firstPixel: number; pixels: number}> {
  for (let phase = 0; phase < phases && phase < outWidth; ++phase) {
    const rowLength = Math.ceil((outWidth - phase) / phases);
    for (let first = 0; first < rowLength; first += pixelsPerStrip) {
      yield {firstPixel: phase + first * phases, pixels: Math.min(pixelsPerStrip, rowLength - first)};
    }
  }
}

function readsInPlace(geometry: ConvGeometry): boolean {
  const {padTop, padLeft, outHeight, outWidth} = geometry;
  const lastRow =
    (outHeight - 1) * geometry.strideHeight + (geometry.filterHeight - 1) * geometry.dilationHeight;
  const lastColumn = (outWidth - 1) * geometry.strideWidth + geometry.filterWidth - 1;
  return (
    geometry.dataFormat === 'NHWC' &&
    geometry.dilationWidth === 1 &&
    padTop === 0 &&
    padLeft === 0 &&
    lastRow < geometry.inHeight &&
    lastColumn < geometry.inWidth
  );
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
