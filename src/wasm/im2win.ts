import type {ConvGeometry} from '../geometry.ts';
import type {Im2winPlan} from '../plan.ts';
import type {ConvRun} from './conv2d.ts';
import {CALL_BYTES, ConvCall} from './convCall.ts';
import type {KernelExports} from './module.ts';

export function packIm2win(
  kernels: KernelExports,
  geometry: ConvGeometry,
  panels: number,
  filter: number,
): void {
  const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
  kernels.im2win_pack(panels, filter, filterHeight, filterWidth, inChannels, outChannels);
}

export function im2winWorkspaceBytes(plan: Im2winPlan): number {
  return CALL_BYTES + plan.stripBytes;
}

/** Strips of a block of output rows, times every panel; block after block. */
export function runIm2win(run: ConvRun, plan: Im2winPlan): void {
  const {geometry, kernels, epilogue} = run;
  const {strip} = plan;
  const {outHeight, outWidth, outChannels, inHeight, inWidth, inChannels, filterWidth} = geometry;
  const gemm = kernels[`im2win_gemm_${plan.tile.mr}x${plan.tile.nr}` as 'im2win_gemm_6x8'];
  const call = new ConvCall(run.workspace, run.ints, run.floats);
  const strips = run.workspace + CALL_BYTES;
  const stripBytes = 4 * strip.windowRowStride;
  const imageBytes = 4 * inHeight * inWidth * inChannels;

  // Blocks that run from one image into the next: more windows where images are small.
  const rowsGoOn = !strip.inPlace || inHeight === outHeight * geometry.strideHeight;
  const merged = rowsGoOn && epilogue.goesOnFromImageToImage(outHeight);
  const images = merged ? 1 : geometry.batchSize;
  const rowsPerImage = merged ? geometry.batchSize * outHeight : outHeight;

  epilogue.writeActivation(call);
  for (let phase = 0; phase < strip.phases && phase < outWidth; ++phase) {
    const rowLength = Math.ceil((outWidth - phase) / strip.phases);
    call.writeWindows({
      segmentLength: strip.depth,
      segments: 1,
      segmentStride: 0,
      outChannels,
      panels: run.panels,
      rowLength,
      windowStride: strip.windowStride,
      windowRowStride: strip.windowRowStride,
      outPixelStride: strip.phases * outChannels,
      outRowStride: outWidth * outChannels,
    });
    const groups = strip.grouped ? rowLength : 1;
    const columns = strip.grouped
      ? filterWidth
      : (rowLength - 1) * (strip.windowStep / strip.columnStep) + filterWidth;

    const gatherStrip = (offset: number, outRow: number) => {
      const image = Math.floor(outRow / outHeight);
      kernels.im2win_strip(
        offset,
        run.x + image * imageBytes,
        inHeight,
        inWidth,
        inChannels,
        geometry.filterHeight,
        (outRow - image * outHeight) * geometry.strideHeight - geometry.padTop,
        geometry.dilationHeight,
        phase * geometry.strideWidth - geometry.padLeft,
        strip.columnStep,
        columns,
        strip.windowStep,
        groups,
      );
    };

    for (let image = 0; image < images; ++image) {
      for (let row = 0; row < rowsPerImage; row += plan.rowsPerBlock) {
        const rows = Math.min(plan.rowsPerBlock, rowsPerImage - row);
        const firstOutRow = image * outHeight + row;
        epilogue.writeOperands(call, {image, row, pixel: phase, pixelStep: strip.phases});
        let windows = strips;
        if (strip.inPlace) windows = run.x + image * imageBytes + row * stripBytes;
        else for (let r = 0; r < rows; ++r) gatherStrip(strips + r * stripBytes, firstOutRow + r);
        gemm?.(call.offset, windows, run.output + 4 * outChannels * (firstOutRow * outWidth + phase), rows);
      }
    }
  }
}
