import type {ConvGeometry} from '../geometry.ts';
import {type CpuConv, clamp, makeEpilogue} from './epilogue.ts';
import {layoutStrides} from './gather.ts';

/**
 * A depthwise convolution, each output row summed in double precision: tap by tap,
 * a filter row's taps together, so that sums are loaded and stored once a row.
 *
 * @param filter [filterHeight, filterWidth, inChannels, channelMultiplier]
 * @returns The output, in the geometry's data format.
 */
export function runDepthwise(
  geometry: ConvGeometry,
  filter: ArrayLike<number>,
  conv: Omit<CpuConv, 'panels' | 'workspace'>,
): Float32Array {
  const {batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels} = geometry;
  const {filterHeight, filterWidth, dilationHeight, dilationWidth, channelMultiplier = 1} = geometry;
  const {x} = conv;
  const output = new Float32Array(batchSize * outHeight * outWidth * outChannels);
  const xStrides = layoutStrides(geometry, inHeight, inWidth, inChannels);
  const yStrides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const {byChannel, bias, low, high, finish} = makeEpilogue(conv, outChannels);
  const sums = new Float64Array(outChannels);
  for (let image = 0; image < batchSize; ++image) {
    for (let row = 0; row < outHeight; ++row) {
      const h = row * geometry.strideHeight - geometry.padTop;
      for (let pixel = 0; pixel < outWidth; ++pixel) {
        const w = pixel * geometry.strideWidth - geometry.padLeft;
        sums.fill(0);
        for (let kh = 0; kh < filterHeight; ++kh) {
          const inRow = h + kh * dilationHeight;
          if (inRow < 0 || inRow >= inHeight) continue;
          for (let kw = 0; kw < filterWidth; ++kw) {
            const column = w + kw * dilationWidth;
            if (column < 0 || column >= inWidth) continue;
            let from = image * xStrides.batch + inRow * xStrides.row + column * xStrides.pixel;
            let tap = (kh * filterWidth + kw) * outChannels;
            if (channelMultiplier === 1) {
              for (let n = 0; n < outChannels; ++n, from += xStrides.channel) {
                sums[n] += x[from] * filter[tap + n];
              }
            } else {
              for (let n = 0; n < outChannels; from += xStrides.channel) {
                const value = x[from];
                for (let m = 0; m < channelMultiplier; ++m, ++n, ++tap) sums[n] += value * filter[tap];
              }
            }
          }
        }
        let to = image * yStrides.batch + row * yStrides.row + pixel * yStrides.pixel;
        for (let n = 0; n < outChannels; ++n, to += yStrides.channel) {
          output[to] = byChannel
            ? clamp(sums[n] + bias[n], low, high)
            : finish(sums[n], image, row, pixel, n);
        }
      }
    }
  }
  return output;
}
