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
    strideWidth,
    plan.points,
  );
}

export function winogradWorkspaceBytes(plan: WinogradPlan): number {
  return 2 * CALL_BYTES + plan.columnBytes + plan.inputRows * plan.inputRowBytes + plan.productBytes;
}

/**
 * Input rows are gathered and transformed one by one, then a block of output
 * rows is multiplied and transformed back, panel by panel.
 */
export function runWinograd(run: ConvRun, plan: WinogradPlan): void {
  const {geometry, kernels, epilogue} = run;
  const {inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
  const {points, outputs, tiles} = plan;
  const multiply = kernels[`im2win_winograd_${plan.tile.mr}x${plan.tile.nr}` as 'im2win_winograd_6x8'];
  const call = new ConvCall(run.workspace, run.ints, run.floats);
  const product = new ConvCall(run.workspace + CALL_BYTES, run.ints, run.floats);
  const columns = run.workspace + 2 * CALL_BYTES;
  const inputRows = columns + plan.columnBytes;
  const products = inputRows + plan.inputRows * plan.inputRowBytes;
  const columnFloats = geometry.strideWidth * inChannels;
  const rowFloats = plan.inputRowBytes / 4;

  const gather = geometry.dataFormat === 'NHWC' ? kernels.im2win_strip : kernels.im2win_strip_nchw;

  epilogue.writeActivation(call);
  call.writeOutput({
    outChannels,
    rowLength: outWidth,
    outPixelStride: run.output.pixel,
    outRowStride: run.output.row,
  });
  product.writeActivation('linear', 0);
  product.writeNoOperands();
  product.writeWindows({
    segmentLength: columnFloats,
    segments: geometry.filterHeight,
    segmentStride: rowFloats,
    panels: run.filter,
    windowStride: columnFloats,
    windowRowStride: geometry.strideHeight * rowFloats,
  });
  product.writeOutput({
    outChannels: plan.tile.nr,
    rowLength: tiles,
    outPixelStride: plan.tile.nr,
    outRowStride: tiles * plan.tile.nr,
  });

  for (let image = 0; image < geometry.batchSize; ++image) {
    const x = run.x + 4 * image * inHeight * inWidth * inChannels;
    for (let row = 0; row < outHeight; row += plan.rowsPerBlock) {
      const rows = Math.min(plan.rowsPerBlock, outHeight - row);
      const firstRow = row * geometry.strideHeight - geometry.padTop;
      const count = inputRowsUnder(geometry, rows);
      for (let r = 0; r < count; ++r) {
        gather(
          columns,
          x,
          inHeight,
          inWidth,
          inChannels,
          1,
          firstRow + r,
          1,
          -geometry.padLeft,
          1,
          plan.columns,
          0,
          1,
        );
        kernels.im2win_winograd_input(
          inputRows + r * plan.inputRowBytes,
          columns,
          tiles,
          outputs,
          columnFloats,
          points,
        );
      }
      epilogue.writeOperands(call, {image, row, pixel: 0, pixelStep: 1});
      multiply?.(
        call.offset,
        product.offset,
        inputRows,
        outputAt(run.output, image, row, 0),
        rows,
        outputs,
        outWidth,
        products,
        points,
        plan.group,
      );
      finishBlock(kernels, geometry, run.output, image, row, rows);
    }
  }
}
