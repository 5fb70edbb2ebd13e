import type {ConvGeometry} from '../geometry.ts';
import type {DepthwisePlan} from '../plan.ts';
import type {ConvRun} from './conv2d.ts';
import {CALL_BYTES, ConvCall} from './convCall.ts';
import {finishBlock, outputAt} from './output.ts';

export function depthwiseWorkspaceBytes(plan: DepthwisePlan, {dataFormat}: ConvGeometry): number {
  return CALL_BYTES + (dataFormat === 'NHWC' ? 0 : plan.inputBytes);
}

/** Image after image, from the input and the filter where they lie; for NCHW from gathered rows. */
export function runDepthwise({kernels, geometry, epilogue, ...run}: ConvRun, plan: DepthwisePlan): void {
  const {inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
  const {strideHeight, dilationHeight, filterHeight, padTop} = geometry;
  const call = new ConvCall(run.workspace, run.ints, run.floats);
  epilogue.writeActivation(call);
  call.writeWindows({
    segmentLength: 0,
    segments: 0,
    segmentStride: 0,
    outChannels,
    panels: 0,
    rowLength: outWidth,
    windowStride: 0,
    windowRowStride: 0,
    outPixelStride: run.output.pixel,
    outRowStride: run.output.row,
  });
  const planar = geometry.dataFormat === 'NCHW';
  const rowsPerBlock = planar ? plan.rowsPerBlock : outHeight;
  const gathered = run.workspace + CALL_BYTES;
  for (let image = 0; image < geometry.batchSize; ++image) {
    const x = run.x + 4 * image * inHeight * inWidth * inChannels;
    for (let row = 0; row < outHeight; row += rowsPerBlock) {
      const rows = Math.min(rowsPerBlock, outHeight - row);
      const top = row * strideHeight - padTop;
      const first = planar ? Math.max(0, Math.min(inHeight, top)) : 0;
      const last = planar
        ? Math.min(inHeight, top + (rows - 1) * strideHeight + (filterHeight - 1) * dilationHeight + 1)
        : inHeight;
      const inRows = Math.max(0, last - first);
      for (let r = 0; planar && r < inRows; ++r) {
        const to = gathered + 4 * r * inWidth * inChannels;
        kernels.im2win_strip_nchw(to, x, inHeight, inWidth, inChannels, 1, first + r, 1, 0, 1, inWidth, 0, 1);
      }
      epilogue.writeOperands(call, {image, row, pixel: 0, pixelStep: 1});
      kernels.im2win_depthwise(
        call.offset,
        planar ? gathered : x,
        run.filter,
        outputAt(run.output, image, row, 0),
        rows,
        inRows,
        inWidth,
        inChannels,
        geometry.channelMultiplier ?? 1,
        filterHeight,
        geometry.filterWidth,
        strideHeight,
        geometry.strideWidth,
        dilationHeight,
        geometry.dilationWidth,
        first - top,
        geometry.padLeft,
      );
      finishBlock(kernels, geometry, run.output, image, row, rows);
    }
  }
}
