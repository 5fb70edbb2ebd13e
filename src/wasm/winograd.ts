import {type ConvGeometry, inputRowsUnder} from '../geometry.ts';
import type {WinogradPlan} from '../plan.ts';
import type {ConvRun} from './conv2d.ts';
import {CALL_BYTES, ConvCall} from './convCall.ts';
import type {KernelExports} from './module.ts';
import {finishBlock, outputAt} from './output.ts';

export function packWinograd(
  kernels: KernelExports,
  geometry: ConvGeometry,
  plan: WinogradPlan,
  panels: number,
  filter: number,
): void {
  const {filterHeight, filterWidth, inChannels, outChannels, strideWidth} = geometry;
  kernels.im2win_winograd_pack(
    panels,
    filter,
    filterHeight,
    filterWidth,
    inChannels,
    outChannels,
    plan.rowPhases,
    strideWidth,
    plan.rowPoints,
    plan.points,
  );
}

export function winogradWorkspaceBytes(plan: WinogradPlan): number {
  return 2 * CALL_BYTES + plan.columnBytes + plan.inputRows * plan.inputRowBytes + plan.productBytes;
}

/**
 * How the transformed input of `rows` output rows and `tiles` tiles of each lies in
 * memory; strides in floats.
 */
function transformedLayout(geometry: ConvGeometry, plan: WinogradPlan, rows: number, tiles: number) {
  const columnFloats = geometry.strideWidth * geometry.inChannels;
  if (plan.rowPoints === 1) {
    // [input row][point][tile][columnFloats]: a window has a segment for each filter row.
    const rowFloats = plan.points * tiles * columnFloats;
    return {
      count: inputRowsUnder(geometry, rows),
      phases: 1,
      rowStep: 1,
      depth: columnFloats,
      rowFloats,
      pointStride: tiles * columnFloats,
      windows: {
        segmentLength: columnFloats,
        segments: geometry.filterHeight,
        rowLength: tiles,
        windowRowStride: geometry.strideHeight * rowFloats,
      },
    };
  }
  // [row point][point][group of output rows][tile][phase][columnFloats]: a window is one segment.
  const count = Math.ceil(rows / plan.rowOutputs);
  const depth = plan.rowPhases * columnFloats;
  return {
    count,
    phases: plan.rowPhases,
    rowStep: plan.rowOutputs * geometry.strideHeight,
    depth,
    rowFloats: tiles * depth,
    pointStride: count * tiles * depth,
    windows: {segmentLength: depth, segments: 1, rowLength: count * tiles, windowRowStride: 0},
  };
}

/**
 * Input columns are gathered and transformed a few tiles at a time; then a block of
 * output rows, or of parts of them, is multiplied and transformed back, panel by
 * panel.
 */
export function runWinograd(run: ConvRun, plan: WinogradPlan): void {
  const {geometry, kernels, epilogue, output} = run;
  const {inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, strideWidth} = geometry;
  const {points, outputs, taps, rowPoints, rowOutputs, tile} = plan;
  const multiply = kernels[`im2win_winograd_${tile.mr}x${tile.nr}` as 'im2win_winograd_6x8'];
  const gather = geometry.dataFormat === 'NHWC' ? kernels.im2win_strip : kernels.im2win_strip_nchw;
  const call = new ConvCall(run.workspace, run.ints, run.floats);
  const product = new ConvCall(run.workspace + CALL_BYTES, run.ints, run.floats);
  const columns = run.workspace + 2 * CALL_BYTES;
  const inputRows = columns + plan.columnBytes;
  const products = inputRows + plan.inputRows * plan.inputRowBytes;
  const columnFloats = strideWidth * inChannels;

  /** Transforms what `rows` output rows from input row `firstRow` on need of tiles `firstTile` to `firstTile + tiles`. */
  const transform = (x: number, firstRow: number, rows: number, firstTile: number, tiles: number) => {
    const {count, phases, rowStep, depth, rowFloats, pointStride, windows} = transformedLayout(
      geometry,
      plan,
      rows,
      tiles,
    );
    for (let r = 0; r < count; ++r) {
      for (let phase = 0; phase < phases; ++phase) {
        for (let first = 0; first < tiles; first += plan.tilesPerGather) {
          const some = Math.min(plan.tilesPerGather, tiles - first);
          const columnCount = (some * outputs + taps - 1) * strideWidth;
          const rowStride = Math.ceil((columnCount * inChannels) / 4) * 4;
          const firstColumn = (firstTile + first) * outputs * strideWidth - geometry.padLeft;
          gather(
            columns,
            x,
            inHeight,
            inWidth,
            inChannels,
            1,
            firstRow + r * rowStep + phase,
            1,
            firstColumn,
            1,
            columnCount,
            0,
            1,
            rowPoints,
            rowStride,
            phases,
          );
          kernels.im2win_winograd_input(
            inputRows + 4 * (r * rowFloats + first * depth + phase * columnFloats),
            columns,
            rowStride,
            some,
            outputs,
            columnFloats,
            depth,
            pointStride,
            rowPoints,
            points,
          );
        }
      }
    }
    product.writeWindows({...windows, segmentStride: rowFloats, panels: run.filter, windowStride: depth});
    product.writeOutput({
      outChannels: tile.nr,
      rowLength: windows.rowLength,
      outPixelStride: tile.nr,
      outRowStride: windows.rowLength * tile.nr,
    });
  };

  epilogue.writeActivation(call);
  product.writeActivation('linear', 0);
  product.writeNoOperands();
  for (let image = 0; image < geometry.batchSize; ++image) {
    const x = run.x + 4 * image * inHeight * inWidth * inChannels;
    for (let row = 0; row < outHeight; row += plan.rowsPerBlock) {
      const rows = Math.min(plan.rowsPerBlock, outHeight - row);
      for (let firstTile = 0; firstTile < plan.tiles; firstTile += plan.tilesPerPart) {
        const tiles = Math.min(plan.tilesPerPart, plan.tiles - firstTile);
        const pixel = firstTile * outputs;
        const pixels = Math.min(tiles * outputs, outWidth - pixel);
        transform(x, row * geometry.strideHeight - geometry.padTop, rows, firstTile, tiles);
        call.writeOutput({
          outChannels,
          rowLength: pixels,
          outPixelStride: output.pixel,
          outRowStride: output.row,
        });
        epilogue.writeOperands(call, {image, row, pixel, pixelStep: 1});
        multiply?.(
          call.offset,
          product.offset,
          inputRows,
          outputAt(output, image, row, pixel),
          rows,
          outputs,
          pixels,
          products,
          points,
          plan.group,
          rowPoints,
          rowOutputs,
        );
      }
      finishBlock(kernels, geometry, output, image, row, rows);
    }
  }
}
