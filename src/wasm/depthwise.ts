import type {ConvRun} from './conv2d.ts';
import {ConvCall} from './convCall.ts';

/** Image after image, from the input and the filter where they lie. */
export function runDepthwise({kernels, geometry, epilogue, ...run}: ConvRun): void {
  const {inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
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
  for (let image = 0; image < geometry.batchSize; ++image) {
    epilogue.writeOperands(call, {image, row: 0, pixel: 0, pixelStep: 1});
    kernels.im2win_depthwise(
      call.offset,
      run.x + 4 * image * inHeight * inWidth * inChannels,
      run.filter,
      run.output.offset + 4 * image * run.output.image,
      outHeight,
      inHeight,
      inWidth,
      inChannels,
      geometry.channelMultiplier ?? 1,
      geometry.filterHeight,
      geometry.filterWidth,
      geometry.strideHeight,
      geometry.strideWidth,
      geometry.dilationHeight,
      geometry.dilationWidth,
      geometry.padTop,
      geometry.padLeft,
    );
  }
}
