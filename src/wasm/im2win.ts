import {type ConvGeometry, inputRowsUnder} from '../geometry.ts';
import type {Im2winPlan} from '../plan.ts';
import {rowValues, type StripPart, stripColumns, stripsOfRow} from '../strip.ts';
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
  // From rows a window is its filter rows one after the other, as if it were one row.
  const [height, width] =
    strip.source !== 'strips' ? [1, filterHeight * filterWidth] : [filterHeight, filterWidth];
  kernels.im2win_pack(panels, filter, height, width, inChannels, outChannels);
}

export function im2winWorkspaceBytes(plan: Im2winPlan): number {
  return CALL_BYTES + plan.stripBytes;
}

/** The windows of a block of output rows, times every panel; block after block. */
export function runIm2win(run: ConvRun, plan: Im2winPlan): void {
  const {geometry, kernels, epilogue, output} = run;
  const {strip} = plan;
  const {outHeight, outChannels, inHeight, inWidth, inChannels} = geometry;
  const gemm = kernels[`im2win_gemm_${plan.tile.mr}x${plan.tile.nr}` as 'im2win_gemm_6x8'];
  const call = new ConvCall(run.workspace, run.ints, run.floats);
  const workspace = run.workspace + CALL_BYTES;
  const imageBytes = 4 * inHeight * inWidth * inChannels;
  const byStrips = strip.source === 'strips';

  const gather = geometry.dataFormat === 'NHWC' ? kernels.im2win_strip : kernels.im2win_strip_nchw;
  // Blocks that run from one image into the next: more windows where images are small.
  const rowsGoOn = byStrips || (strip.source === 'input' && inHeight === outHeight * geometry.strideHeight);
  const merged =
    rowsGoOn && output.image === outHeight * output.row && epilogue.goesOnFromImageToImage(outHeight);
  const images = merged ? 1 : geometry.batchSize;
  const rowsPerImage = merged ? geometry.batchSize * outHeight : outHeight;

  /** The strips of output rows of an image, or its input rows themselves. */
  const gatherStrips = (to: number, image: number, inRow: number, count: number, part: StripPart) => {
    const {columns, groups} = stripColumns(strip, geometry, part.pixels);
    gather(
      to,
      run.x + image * imageBytes,
      inHeight,
      inWidth,
      inChannels,
      byStrips ? geometry.filterHeight : 1,
      inRow,
      geometry.dilationHeight,
      part.firstPixel * geometry.strideWidth - geometry.padLeft,
      strip.columnStep,
      columns,
      strip.windowStep,
      groups,
      count,
      rowValues(strip, geometry, part.pixels),
      byStrips ? geometry.strideHeight : 1,
    );
  };

  epilogue.writeActivation(call);
  for (let image = 0; image < images; ++image) {
    for (let row = 0; row < rowsPerImage; row += plan.rowsPerBlock) {
      const rows = Math.min(plan.rowsPerBlock, rowsPerImage - row);
      const firstInRow = row * geometry.strideHeight - geometry.padTop;
      for (const part of stripsOfRow(geometry, plan)) {
        const {firstPixel, pixels} = part;
        const rowFloats = rowValues(strip, geometry, pixels);
        call.writeWindows({
          segmentLength: byStrips ? strip.depth : geometry.filterWidth * inChannels,
          segments: byStrips ? 1 : geometry.filterHeight,
          segmentStride: geometry.dilationHeight * rowFloats,
          panels: run.filter,
          windowStride: strip.windowStride,
          windowRowStride: byStrips ? rowFloats : geometry.strideHeight * rowFloats,
        });
        call.writeOutput({
          outChannels,
          rowLength: pixels,
          outPixelStride: strip.phases * output.pixel,
          outRowStride: output.row,
        });
        epilogue.writeOperands(call, {image, row, pixel: firstPixel, pixelStep: strip.phases});
        let windows = workspace;
        if (strip.source === 'input') {
          windows = run.x + image * imageBytes + 4 * firstInRow * rowFloats;
        } else if (strip.source === 'rows') {
          gatherStrips(workspace, image, firstInRow, inputRowsUnder(geometry, rows), part);
        } else {
          for (let done = 0; done < rows; ) {
            const own = image * outHeight + row + done;
            const ownImage = Math.floor(own / outHeight);
            const ownRow = own - ownImage * outHeight;
            const count = Math.min(rows - done, outHeight - ownRow);
            const inRow = ownRow * geometry.strideHeight - geometry.padTop;
            gatherStrips(workspace + 4 * done * rowFloats, ownImage, inRow, count, part);
            done += count;
          }
        }
        gemm?.(call.offset, windows, outputAt(output, image, row, firstPixel), rows);
      }
      finishBlock(kernels, geometry, output, image, row, rows);
    }
  }
}
