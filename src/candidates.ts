// What may compute a convolution, and in blocks of which size.
import {type ConvGeometry, inputRowsUnder} from './geometry.ts';
import type {Im2winPlan, PlanContext, WinogradForm, WinogradPlan} from './plan.ts';
import {blockValues, type StripLayout, stripLayout} from './strip.ts';
import {TARGETS, type Target} from './targets.generated.ts';

// A block that is larger than the budget, because a single row is, may have this share of the matrix that
// im2col would write.
const MAX_BLOCK_SHARE = 0.1;
// What kernels/strip.h may write behind a strip.
const OVERHANG_BYTES = 16;
// With more outputs in a nested tile, its error would pass the bound.
const MAX_NESTED_OUTPUTS = 24;
const MAX_PACKED_BYTES = 8 * 1024 * 1024;

const ROW_POINTS = [1, 4, 6, 8] as const;
const POINTS = [8, 6, 4] as const;

/** On cpu a single output channel has a tile of its own, and no Winograd. */
function targetOf({outChannels}: ConvGeometry, {target}: PlanContext): Target {
  return target === 'cpu' && outChannels === 1 ? TARGETS.cpuNarrow : TARGETS[target];
}

/** Every plan that may be chosen, plain im2win first. */
export function candidatePlans(
  geometry: ConvGeometry,
  context: PlanContext,
): [Im2winPlan, ...WinogradPlan[]] {
  const winograd = winogradForms(geometry, context).flatMap(
    (form) => winogradPlan(geometry, context, form) ?? [],
  );
  return [im2winPlan(geometry, context), ...winograd];
}

/** Plain im2win, whatever else could compute the convolution. */
export function im2winPlan(geometry: ConvGeometry, context: PlanContext): Im2winPlan {
  const target = targetOf(geometry, context);
  const {kept} = filterBounds(geometry, target, context);
  return {...planIm2win(geometry, target), repacks: context.filtersChange ?? false, keptBytes: kept};
}

/** A form's plan; `undefined` where its blocks or its packed filter would be too large. */
export function winogradPlan(
  geometry: ConvGeometry,
  context: PlanContext,
  form: WinogradForm,
): WinogradPlan | undefined {
  const target = targetOf(geometry, context);
  const {bound, kept} = filterBounds(geometry, target, context);
  const plan = planWinograd(geometry, target, form);
  if (plan === undefined || plan.panelBytes > bound) return undefined;
  return {
    ...plan,
    repacks: (context.filtersChange ?? false) || plan.panelBytes > kept,
    keptBytes: kept,
  };
}

/** The bytes that a packed filter may have, and those that all that are kept of a filter may have. */
function filterBounds(
  geometry: ConvGeometry,
  {valueBytes, keepsAsStock}: Target,
  {maxPackedFilterBytes}: PlanContext,
) {
  const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
  const filterBytes = valueBytes * filterHeight * filterWidth * inChannels * outChannels;
  const bound = maxPackedFilterBytes ?? Math.max(MAX_PACKED_BYTES, 2 * filterBytes);
  return {bound, kept: maxPackedFilterBytes ?? (keepsAsStock ? stockBytes(geometry) : bound)};
}

/** Every way in which Winograd applies: not to a dilated filter, or where there are no or too many taps. */
export function winogradForms(geometry: ConvGeometry, context: PlanContext): WinogradForm[] {
  const {filterHeight, filterWidth, strideHeight, strideWidth} = geometry;
  const forms: WinogradForm[] = [];
  const taps = Math.ceil(filterWidth / strideWidth);
  const dilated = geometry.dilationWidth > 1 || geometry.dilationHeight > 1;
  const empty = geometry.inChannels * geometry.outHeight * geometry.outWidth === 0;
  if (!context.winograd || taps < 2 || dilated || empty) return forms;
  const target = targetOf(geometry, context);
  for (const rowPoints of ROW_POINTS) {
    const nested = rowPoints > 1;
    const rowPhases = nested ? strideHeight : filterHeight;
    const rowTaps = Math.ceil(filterHeight / rowPhases);
    const rowOutputs = rowPoints - rowTaps + 1;
    if (rowPoints > target.mostRowPoints || (nested && (rowTaps < 2 || rowOutputs < 2))) continue;
    for (const points of POINTS) {
      const outputs = points - taps + 1;
      if (outputs < 2 || (nested && rowOutputs * outputs > MAX_NESTED_OUTPUTS)) continue;
      const form = {points, outputs, taps, rowPoints, rowOutputs, rowPhases};
      forms.push({...form, shallow: isShallow(geometry, target, form)});
    }
  }
  return forms;
}

/** What kernels/shallow.h takes: F(4, 3) along the width, whole panels, and three or six values in a column. */
function isShallow(
  {strideWidth, inChannels, outChannels}: ConvGeometry,
  {shallowDepth, tile}: Target,
  {points, outputs, rowPoints, rowPhases}: Omit<WinogradForm, 'shallow'>,
): boolean {
  const columnValues = strideWidth * inChannels;
  return (
    rowPoints === 1 &&
    points === 6 &&
    outputs === 4 &&
    outChannels % tile.nr === 0 &&
    (columnValues === 3 || columnValues === 6) &&
    rowPhases * columnValues <= shallowDepth
  );
}

/** What tfjs's own wasm kernel keeps of a convolution: its filter twice, and a pointer for each tap of each pixel. */
function stockBytes({filterHeight, filterWidth, inChannels, outChannels, ...output}: ConvGeometry): number {
  const taps = filterHeight * filterWidth;
  return 4 * taps * (2 * inChannels * outChannels + output.outHeight * output.outWidth);
}

/** The plan for a form; `undefined` where its blocks would be too large. */
function planWinograd(
  geometry: ConvGeometry,
  target: Target,
  form: WinogradForm,
): Omit<WinogradPlan, 'repacks' | 'keptBytes'> | undefined {
  const {tile, valueBytes, maxBlockBytes} = target;
  const {strideWidth, inChannels, outHeight, outWidth} = geometry;
  const {points, outputs, taps, rowPoints, rowOutputs, rowPhases, shallow} = form;
  const nested = rowPoints > 1;
  const tiles = Math.ceil(outWidth / outputs);
  const rowGroups = Math.ceil(outHeight / rowOutputs);
  const columnFloats = strideWidth * inChannels;
  const windowBytes = valueBytes * rowPoints * points * (nested ? rowPhases : 1) * columnFloats;
  const panels = Math.ceil(geometry.outChannels / tile.nr);
  const productWindowBytes = shallow ? 0 : valueBytes * rowPoints * points * tile.nr;
  const columnsOf = (count: number) => (count * outputs + taps - 1) * strideWidth;
  const columnBytesOf = (count: number) =>
    rowPoints * pairBytes(valueBytes * columnsOf(count) * inChannels) + OVERHANG_BYTES;
  const inputRowsOf = (groups: number) => (nested ? groups : inputRowsUnder(geometry, groups));
  const outRows = (groups: number) => Math.min(groups * rowOutputs, outHeight);

  const budget = nested
    ? Math.min(allowedBlockBytes(geometry, target), Math.max(maxBlockBytes, target.nestedBlockBytes))
    : maxBlockBytes;
  // The gathered columns of all rows stay in the first-level cache until they are transformed.
  const gathers = Math.ceil(columnBytesOf(tiles) / target.columnBytes);
  const wantedPerGather = nested ? Math.max(1, Math.floor(tiles / gathers)) : tiles;
  const bytesFor = (groups: number, part: number, group: number) =>
    columnBytesOf(Math.min(part, wantedPerGather)) +
    inputRowsOf(groups) * part * windowBytes +
    groups * part * group * productWindowBytes +
    outRows(groups) * outRowBytes(geometry);
  // A row is cut into parts of one size, as large as fit.
  const largestPart = largest(tiles, (part) => bytesFor(1, part, 1) <= budget);
  const tilesPerPart = Math.ceil(tiles / Math.ceil(tiles / largestPart));
  // Blocks are of one size, and as large as fit, because each reads the whole filter.
  const most = largest(
    rowGroups,
    (groups) =>
      (groups - 1) * tilesPerPart < (shallow ? target.shallowTiles : target.winogradTiles) &&
      bytesFor(groups, tilesPerPart, 1) <= budget,
  );
  const groupsPerBlock = Math.ceil(rowGroups / Math.ceil(rowGroups / most));
  if (bytesFor(groupsPerBlock, tilesPerPart, 1) > allowedBlockBytes(geometry, target)) return undefined;
  const group = largest(
    Math.min(target.productGroup, panels),
    (count) => bytesFor(groupsPerBlock, tilesPerPart, count) <= budget,
  );
  const tilesPerGather = Math.min(tilesPerPart, wantedPerGather);
  const depth = rowPhases * columnFloats;
  return {
    algorithm: 'winograd',
    target,
    ...form,
    tiles,
    tilesPerPart,
    tilesPerGather,
    columns: columnsOf(tilesPerGather),
    columnBytes: columnBytesOf(tilesPerGather),
    rowsPerBlock: groupsPerBlock * rowOutputs,
    inputRows: inputRowsOf(groupsPerBlock),
    inputRowBytes: tilesPerPart * windowBytes,
    group,
    productBytes: groupsPerBlock * tilesPerPart * group * productWindowBytes,
    blockBytes: outRows(groupsPerBlock) * outRowBytes(geometry),
    packing: `${filterName(geometry)} winograd ${rowPoints}×${points} stride ${rowPhases}×${strideWidth} panels ${tile.nr}`,
    panelBytes: valueBytes * rowPoints * points * depth * panels * tile.nr,
  };
}

/** What pairs of vectors take: see kernels/pair.h. */
function pairBytes(bytes: number): number {
  return Math.ceil(bytes / 32) * 32;
}

/** The plan for plain im2win. */
function planIm2win(geometry: ConvGeometry, target: Target): Omit<Im2winPlan, 'repacks' | 'keptBytes'> {
  const {tile, valueBytes, readsRows} = target;
  const strip = stripLayout(geometry, readsRows);
  const pixelsPerRow = Math.ceil(geometry.outWidth / strip.phases);
  const rowBytes = valueBytes * blockValues(strip, geometry, 1, pixelsPerRow);
  const parts = strip.source === 'input' ? 1 : stripsPerRow(geometry, target, rowBytes, pixelsPerRow);
  const pixelsPerStrip = Math.ceil(pixelsPerRow / parts);
  const bytesFor = (rows: number) => valueBytes * blockValues(strip, geometry, rows, pixelsPerStrip);
  const rowsPerBlock = parts > 1 ? 1 : blockRows(geometry, target, strip, bytesFor);
  return {
    algorithm: 'im2win',
    target,
    strip,
    rowsPerBlock,
    pixelsPerStrip,
    stripBytes: strip.source === 'input' ? 0 : bytesFor(rowsPerBlock) + OVERHANG_BYTES,
    blockBytes: rowsPerBlock * outRowBytes(geometry),
    packing: `${filterName(geometry)} panels ${tile.nr}${strip.source === 'strips' ? '' : ' by rows'}`,
    panelBytes: valueBytes * strip.depth * Math.ceil(geometry.outChannels / tile.nr) * tile.nr,
  };
}

/** The bytes of a row of output pixels that is to be spread over planes. */
function outRowBytes({dataFormat, outWidth, outChannels}: ConvGeometry): number {
  return dataFormat === 'NCHW' ? 4 * outWidth * outChannels : 0;
}

/** The strips that a row is cut into: one, unless it does not fit. Each strip reads the whole filter. */
function stripsPerRow(
  geometry: ConvGeometry,
  target: Target,
  rowBytes: number,
  pixelsPerRow: number,
): number {
  const {maxBlockBytes, blockWindows} = target;
  const wanted = Math.min(Math.ceil(rowBytes / maxBlockBytes), Math.ceil(pixelsPerRow / blockWindows));
  return Math.max(1, wanted, Math.ceil(rowBytes / allowedBlockBytes(geometry, target)));
}

/** The most bytes that a block may take. */
function allowedBlockBytes(
  {batchSize, outHeight, outWidth, ...filter}: ConvGeometry,
  {maxBlockBytes}: Target,
): number {
  const windows = batchSize * outHeight * outWidth;
  const im2colBytes = 4 * windows * filter.filterHeight * filter.filterWidth * filter.inChannels;
  return Math.max(maxBlockBytes, MAX_BLOCK_SHARE * im2colBytes);
}

// The shape is part of it: tensors of different shapes may share their data, and so its id.
function filterName({filterHeight, filterWidth, inChannels, outChannels, cut}: ConvGeometry): string {
  const taps = `${filterHeight}×${filterWidth}×${inChannels}×${outChannels}`;
  return cut === undefined ? taps : `${taps} at ${cut.row}, ${cut.column} of ${cut.rowTaps}`;
}

/** Whether the kernel takes a few windows at a time, whatever the block is: the rule of kernels/gemm.h. */
export function takesFewWindows(
  {nearFilterBytes, wideFilterBytes}: Target,
  depth: number,
  outChannels: number,
): boolean {
  const filterBytes = 4 * depth * outChannels;
  return filterBytes <= nearFilterBytes || (filterBytes <= wideFilterBytes && outChannels >= depth);
}

function blockRows(
  geometry: ConvGeometry,
  target: Target,
  {source, depth}: StripLayout,
  bytesFor: (rows: number) => number,
): number {
  const {batchSize, outHeight, outWidth, outChannels} = geometry;
  const {blockBytes, blockWindows, maxBlockBytes} = target;
  // A block of input rows ends with its image.
  const all = source === 'rows' ? outHeight : batchSize * outHeight;
  if (source === 'input' && takesFewWindows(target, depth, outChannels)) return all;
  return largest(all, (rows) => {
    const bytes = bytesFor(rows) + rows * outRowBytes(geometry);
    return bytes <= ((rows - 1) * outWidth < blockWindows ? maxBlockBytes : blockBytes);
  });
}

/**
 * The largest number from 1 to `most` that fits; 1 if none does. All numbers below one that fits must fit. It
 * is found by bisection, since an image may have 2³⁰ rows.
 */
export function largest(most: number, fits: (count: number) => boolean): number {
  let low = 1;
  let high = Math.max(1, most);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
