import type {ConvGeometry} from '../geometry.ts';
import type {Im2winPlan} from '../plan.ts';
import {stripColumns, stripsOfRow, stripValues} from '../strip.ts';
import type {ConvRun} from './conv2d.ts';
import {CALL_BYTES, ConvCall} from './convCall.ts';
import type {KernelExports} from './module.ts';
import {finishBlock, outputAt} from './output.ts';

export function packIm2win(
  kernels: KernelExports,
  geometry: ConvGeometry,
  {strip}: Im2winPlan,
  panels: number,
  filter: number,
): void {
  const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
  // In place a window is its filter rows one after the other, as if it were one row.
  const [height, width] = strip.inPlace ? [1, filterHeight * filterWidth] : [filterHeight, filterWidth];
  kernels.im2win_pack(panels, filter, height, width, inChannels, outChannels);
}

export function im2winWorkspaceBytes(plan: Im2winPlan): number {
  return CALL_BYTES + plan.stripBytes;
}

/** Strips of a block of output rows, times every panel; block after block. */
export function runIm2win(run: ConvRun, plan: Im2winPlan): void {
  const {geometry, kernels, epilogue} = run;
  const {strip} = plan;
  const {outHeight, outChannels, inHeight, inWidth, inChannels} = geometry;
  const gemm = kernels[`im2win_gemm_${plan.tile.mr}x${plan.tile.nr}` as 'im2win_gemm_6x8'];
  const call = new ConvCall(run.workspace, run.ints, run.floats);
  const strips = run.workspace + CALL_BYTES;
  const imageBytes = 4 * inHeight * inWidth * inChannels;

  const {output} = run;
  const gather = geometry.dataFormat === 'NHWC' ? kernels.im2win_strip : kernels.im2win_strip_nchw;
  // Blocks that run from one image into the next: more windows where images are small.
  const rowsGoOn = !strip.inPlace || inHeight === outHeight * geometry.strideHeight;
  const merged =
    rowsGoOn && output.image === outHeight * output.row && epilogue.goesOnFromImageToImage(outHeight);
  const images = merged ? 1 : geometry.batchSize;
  const rowsPerImage = merged ? geometry.batchSize * outHeight : outHeight;

  const gatherStrip = (offset: number, outRow: number, firstPixel: number, pixels: number) => {
    const image = Math.floor(outRow / outHeight);
    const {columns, groups} = stripColumns(strip, geometry, pixels);
    gather(
      offset,
      run.x + image * imageBytes,
      inHeight,
      inWidth,
      inChannels,
      geometry.filterHeight,
      (outRow - image * outHeight) * geometry.strideHeight - geometry.padTop,
      geometry.dilationHeight,
      firstPixel * geometry.strideWidth - geometry.padLeft,
      strip.columnStep,
      columns,
      strip.windowStep,
      groups,
    );
  };

  epilogue.writeActivation(call);
  for (let image = 0; image < images; ++image) {
    for (let row = 0; row < rowsPerImage; row += plan.rowsPerBlock) {
      const rows = Math.min(plan.rowsPerBlock, rowsPerImage - row);
      for (const {firstPixel, pixels} of stripsOfRow(geometry, plan)) {
        const rowFloats = strip.inPlace ? strip.windowRowStride : stripValues(strip, geometry, pixels);
        call.writeWindows({
          segmentLength: strip.inPlace ? geometry.filterWidth * inChannels : strip.depth,
          segments: strip.inPlace ? geometry.filterHeight : 1,
          segmentStride: geometry.dilationHeight * inWidth * inChannels,
          panels: run.filter,
          windowStride: strip.windowStride,
          windowRowStride: rowFloats,
        });
        call.writeOutput({
          outChannels,
          rowLength: pixels,
          outPixelStride: strip.phases * output.pixel,
          outRowStride: output.row,
        });
        epilogue.writeOperands(call, {image, row, pixel: firstPixel, pixelStep: strip.phases});
        let windows = strips;
        if (strip.inPlace) windows = run.x + image * imageBytes + 4 * row * rowFloats;
        else {
          for (let r = 0; r < rows; ++r) {
            gatherStrip(strips + 4 * r * rowFloats, image * outHeight + row + r, firstPixel, pixels);
          }
        }
        gemm?.(call.offset, windows, outputAt(output, image, row, firstPixel), rows);
      }
      finishBlock(kernels, geometry, output, image, row, rows);
    }
  }
}
