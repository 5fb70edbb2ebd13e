import type {DepthwisePlan} from '../plan.ts';
import type {ConvRun} from './conv2d.ts';
import {CALL_BYTES, ConvCall} from './convCall.ts';
import {finishBlock, outputAt} from './output.ts';
import {gatherRows, inputRowsOf} from './rows.ts';

export function depthwiseWorkspaceBytes({block}: DepthwisePlan): number {
  return CALL_BYTES + block.inputBytes;
}

/** Image after image, from the input and the filter where they lie; for NCHW from gathered rows. */
export function runDepthwise({kernels, geometry, epilogue, ...run}: ConvRun, plan: DepthwisePlan): void {
  const {inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
  const {strideHeight, dilationHeight, filterHeight, padTop} = geometry;
  const call = new ConvCall(run.workspace, run.ints, run.floats);
  epilogue.writeActivation(call);
  call.writeOutput({
    outChannels,
    rowLength: outWidth,
    outPixelStride: run.output.pixel,
    outRowStride: run.output.row,
  });
  const planar = geometry.dataFormat === 'NCHW';
  const gathered = run.workspace + CALL_BYTES;
  for (let image = 0; image < geometry.batchSize; ++image) {
    const x = run.x + 4 * image * inHeight * inWidth * inChannels;
    for (let row = 0; row < outHeight; row += plan.block.rows) {
      const rows = Math.min(plan.block.rows, outHeight - row);
      const under = planar ? inputRowsOf(geometry, row, rows) : {first: 0, count: inHeight, padTop};
      if (planar) gatherRows(kernels, gathered, x, [inHeight, inWidth, inChannels], under.first, under.count);
      epilogue.writeOperands(call, {image, row, pixel: 0, pixelStep: 1});
      kernels.im2win_depthwise(
        call.offset,
        planar ? gathered : x,
        run.filter,
        outputAt(run.output, image, row, 0),
        rows,
        under.count,
        inWidth,
        inChannels,
        geometry.channelMultiplier ?? 1,
        filterHeight,
        geometry.filterWidth,
        strideHeight,
        geometry.strideWidth,
        dilationHeight,
        geometry.dilationWidth,
        under.padTop,
        geometry.padLeft,
      );
      finishBlock(kernels, geometry, run.output, image, row, rows);
    }
  }
}
