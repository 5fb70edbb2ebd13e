import {type ConvGeometry, inputRowsUnder} from './geometry.ts';

/**
 * How the windows of output rows lie in memory. A filter that is dilated along the width takes
 * its taps from every `dilationWidth`-th column. So the output pixels of a row are shared out to `phases` strips,
 * each of which holds the columns of its taps side by side.
 */
export interface StripLayout {
  /**
   * What windows are read from. 'input': from the input as it lies, since none reaches into the padding; a window
   * has a segment for each filter row. 'rows': from padded copies of the input rows, which the output rows of a
   * block share; a window has as many segments. 'strips': from a strip for each output row, in which a window is
   * one segment.
   */
  readonly source: 'input' | 'rows' | 'strips';
  /** Floats in a window: filterWidth · filterHeight · inChannels. */
  readonly depth: number;
  readonly phases: number;
  /** Floats from one window to the next. */
  readonly windowStride: number;
  /** Input columns from one strip column to the next. */
  readonly columnStep: number;
  /** Whether windows are gathered one by one, each a group of columns, since no window sees the columns between them. */
  readonly grouped: boolean;
  /** Input columns from one window to the next. */
  readonly windowStep: number;
}

/**
 * @param mayReadRows Whether windows may be read from rows, in place where that is
 *     possible; else strips are always made.
 */
export function stripLayout(geometry: ConvGeometry, mayReadRows = true): StripLayout {
  const {filterHeight, filterWidth, inChannels, strideWidth, dilationWidth} = geometry;
  const depth = filterWidth * filterHeight * inChannels;
  const common = gcd(strideWidth, dilationWidth);
  const phases = dilationWidth / common;
  const stripStride = strideWidth / common;
  const inPlace = readsInPlace(geometry);
  const grouped = stripStride > filterWidth && !(mayReadRows && inPlace);
  // To read rows pays where output rows share input rows. Under a dilated filter they do not. A filter of one
  // row needs no rows: its strip is the row itself, and blocks of strips may go on from image to image.
  const undilated = dilationWidth === 1 && geometry.dilationHeight === 1;
  if (mayReadRows && (inPlace || (undilated && filterHeight > 1 && !grouped))) {
    return {
      source: inPlace ? 'input' : 'rows',
      depth,
      phases: 1,
      windowStride: strideWidth * inChannels,
      columnStep: 1,
      grouped: false,
      windowStep: strideWidth,
    };
  }
  return {
    source: 'strips',
    depth,
    phases,
    windowStride: grouped ? depth : stripStride * filterHeight * inChannels,
    columnStep: dilationWidth,
    grouped,
    windowStep: phases * strideWidth,
  };
}

/** How many columns a strip of `pixels` windows has: in all, or in each of its groups. */
export function stripColumns(
  {windowStep, columnStep, grouped}: StripLayout,
  {filterWidth}: ConvGeometry,
  pixels: number,
) {
  return grouped
    ? {columns: filterWidth, groups: pixels}
    : {columns: (pixels - 1) * (windowStep / columnStep) + filterWidth, groups: 1};
}

/** Values from one output row's strip to the next, or, where there are no strips, from one input row to the next. */
export function rowValues(strip: StripLayout, geometry: ConvGeometry, pixels: number): number {
  const {filterHeight, inChannels} = geometry;
  if (strip.source === 'input') return geometry.inWidth * inChannels;
  const {columns, groups} = stripColumns(strip, geometry, pixels);
  return columns * groups * inChannels * (strip.source === 'strips' ? filterHeight : 1);
}

/** Values that the windows of `rows` rows of `pixels` output pixels span. */
export function blockValues(strip: StripLayout, geometry: ConvGeometry, rows: number, pixels: number) {
  const count = strip.source === 'strips' ? rows : inputRowsUnder(geometry, rows);
  return count * rowValues(strip, geometry, pixels);
}

/** The output pixels whose windows a strip holds. */
export interface StripPart {
  readonly firstPixel: number;
  readonly pixels: number;
}

/** The strips of an output row: one for each phase, or for each part of one. */
export function* stripsOfRow(
  {outWidth}: ConvGeometry,
  {strip: {phases}, pixelsPerStrip}: {readonly strip: StripLayout; readonly pixelsPerStrip: number},
): Generator<StripPart> {
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
