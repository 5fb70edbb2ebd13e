import type {ConvGeometry} from '../geometry.ts';
import type {Im2winPlan} from '../plan.ts';
import {stripColumns, stripsOfRow} from '../strip.ts';
import {type CpuConv, clamp, type Epilogue, makeEpilogue} from './epilogue.ts';
import {gatherStrip, layoutStrides} from './gather.ts';
import {MR, NR, narrowTiles, tile} from './tile.ts';

/**
 * Plain im2win: the strip of one output row after the other, multiplied by every panel. Sums are in double
 * precision, and rounded once.
 *
 * @returns The output, in the geometry's data format.
 */
export function runIm2win(geometry: ConvGeometry, plan: Im2winPlan, conv: CpuConv): Float32Array {
  const {batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels} = geometry;
  const {strip} = plan;
  const output = new Float32Array(batchSize * outHeight * outWidth * outChannels);
  if (output.length === 0) return output;
  const input = {x: conv.x, strides: layoutStrides(geometry, inHeight, inWidth, inChannels)};
  const yStrides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const epilogue = makeEpilogue(conv, outChannels);
  const {byChannel, bias, low, high, finish} = epilogue;
  const sums = new Float64Array(MR * NR);
  const rowSums = new Float64Array(plan.target.tile.nr === 1 ? plan.pixelsPerStrip : 0);

  for (const {firstPixel, pixels: rowLength} of stripsOfRow(geometry, plan)) {
    const columns = {
      first: firstPixel * geometry.strideWidth - geometry.padLeft,
      step: strip.columnStep,
      groupStep: strip.windowStep,
      ...stripColumns(strip, geometry, rowLength),
    };
    for (let image = 0; image < batchSize; ++image) {
      for (let row = 0; row < outHeight; ++row) {
        gatherStrip(conv.workspace, input, image, geometry, row, columns);
        const to = image * yStrides.batch + row * yStrides.row;
        if (plan.target.tile.nr === 1) {
          const {workspace, panels} = conv;
          narrowTiles(workspace, strip.windowStride, rowLength, panels, strip.depth, rowSums);
          const at = to + firstPixel * yStrides.pixel;
          const step = strip.phases * yStrides.pixel;
          if (byChannel) {
            writeRow(output, at, step, rowSums, rowLength, epilogue);
          } else {
            for (let j = 0; j < rowLength; ++j) {
              output[at + j * step] = finish(rowSums[j], image, row, firstPixel + j * strip.phases, 0);
            }
          }
          continue;
        }
        let panel = 0;
        for (let n = 0; n < outChannels; n += NR) {
          const width = Math.min(NR, outChannels - n);
          for (let j = 0; j < rowLength; j += MR) {
            const count = Math.min(MR, rowLength - j);
            const a = j * strip.windowStride;
            // A last tile that is not full computes its first window again.
            tile(
              conv.workspace,
              a,
              count > 1 ? a + strip.windowStride : a,
              count > 2 ? a + 2 * strip.windowStride : a,
              conv.panels,
              panel,
              strip.depth,
              1,
              0,
              sums,
            );
            for (let i = 0; i < count; ++i) {
              const pixel = firstPixel + (j + i) * strip.phases;
              let at = to + pixel * yStrides.pixel + n * yStrides.channel;
              for (let channel = 0; channel < width; ++channel) {
                const sum = sums[i * NR + channel];
                output[at] = byChannel
                  ? clamp(sum + bias[n + channel], low, high)
                  : finish(sum, image, row, pixel, n + channel);
                at += yStrides.channel;
              }
            }
          }
          panel += strip.depth * NR;
        }
      }
    }
  }
  return output;
}

/** Adds the bias of the only channel, clamps and writes. It is a function of its own so that V8 compiles it by itself. */
function writeRow(
  output: Float32Array,
  to: number,
  step: number,
  sums: Float64Array,
  count: number,
  {bias, low, high}: Epilogue,
): void {
  const only = bias[0];
  for (let j = 0, at = to; j < count; ++j, at += step) output[at] = clamp(sums[j] + only, low, high);
}
