// The gradient of a convolution with respect to its filter, by the same strips, panels and tile.
import {type ConvGeometry, inputRowsUnder} from '../geometry.ts';
import {essential, filterPlace} from '../taps.ts';
import {TARGETS} from '../targets.generated.ts';
import {layoutStrides} from './gather.ts';
import {MR, NR, tile} from './tile.ts';

/**
 * The gradient with respect to the filter. For each tap it is the product of the input, [channel][pixel], and of
 * dy, [pixel][channel]. Input rows are gathered channel by channel, and within a channel phase by phase of the
 * stride. So the values that neighbouring pixels have for a tap are neighbours.
 *
 * @returns [filterHeight, filterWidth, inChannels, outChannels]
 */
export function runFilterGradient(
  asked: ConvGeometry,
  x: ArrayLike<number>,
  dy: ArrayLike<number>,
): Float32Array {
  const {inChannels, outChannels} = asked;
  const gradient = new Float32Array(asked.filterHeight * asked.filterWidth * inChannels * outChannels);
  if (asked.outShape.includes(0) || gradient.length === 0) return gradient;
  const geometry = essential(asked);
  // No tap is seen by any window, and all gradients are zero.
  if (geometry.inChannels === 0) return gradient;
  const {offset, rowTaps} = filterPlace(geometry);
  const seen = seenGradient(geometry, x, dy);
  const rowValues = geometry.filterWidth * inChannels * outChannels;
  for (let kh = 0; kh < geometry.filterHeight; ++kh) {
    gradient.set(
      seen.subarray(kh * rowValues, (kh + 1) * rowValues),
      offset + kh * rowTaps * inChannels * outChannels,
    );
  }
  return gradient;
}

function seenGradient(geometry: ConvGeometry, x: ArrayLike<number>, dy: ArrayLike<number>): Float64Array {
  const {batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels} = geometry;
  const {filterHeight, filterWidth, strideHeight, strideWidth, padTop, padLeft} = geometry;
  const xStrides = layoutStrides(geometry, inHeight, inWidth, inChannels);
  const dyStrides = layoutStrides(geometry, outHeight, outWidth, outChannels);
  const phaseColumns = outWidth + Math.ceil(filterWidth / strideWidth) - 1;
  const channelValues = Math.min(strideWidth, filterWidth) * phaseColumns;
  const rowValues = inChannels * channelValues;
  const rowCost = strideHeight * rowValues + outWidth * outChannels;
  const rowsPerBlock = Math.max(1, Math.min(outHeight, Math.floor(TARGETS.cpu.gradientValues / rowCost)));
  const strip = new Float64Array(inputRowsUnder(geometry, rowsPerBlock) * rowValues);
  const panels = new Float64Array(Math.ceil(outChannels / NR) * NR * rowsPerBlock * outWidth);
  const total = new Float64Array(filterHeight * filterWidth * inChannels * outChannels);
  const sums = new Float64Array(MR * NR);

  const gatherRows = (image: number, firstRow: number, count: number) => {
    let to = 0;
    for (let r = 0; r < count; ++r) {
      const h = firstRow + r;
      for (let ci = 0; ci < inChannels; ++ci) {
        const from = image * xStrides.batch + h * xStrides.row + ci * xStrides.channel;
        for (let phase = 0; phase < Math.min(strideWidth, filterWidth); ++phase) {
          for (let t = 0; t < phaseColumns; ++t, ++to) {
            const w = t * strideWidth + phase - padLeft;
            const inside = h >= 0 && h < inHeight && w >= 0 && w < inWidth;
            strip[to] = inside ? x[from + w * xStrides.pixel] : 0;
          }
        }
      }
    }
  };
  const packRows = (image: number, firstRow: number, rows: number) => {
    let to = 0;
    for (let n = 0; n < outChannels; n += NR) {
      for (let r = 0; r < rows; ++r) {
        const from = image * dyStrides.batch + (firstRow + r) * dyStrides.row;
        for (let j = 0; j < outWidth; ++j) {
          for (let i = 0; i < NR; ++i, ++to) {
            const inside = n + i < outChannels;
            panels[to] = inside ? dy[from + j * dyStrides.pixel + (n + i) * dyStrides.channel] : 0;
          }
        }
      }
    }
  };
  const addTap = (kh: number, kw: number, rows: number) => {
    const tap = kh * rowValues + (kw % strideWidth) * phaseColumns + Math.floor(kw / strideWidth);
    for (let ci = 0; ci < inChannels; ci += MR) {
      const count = Math.min(MR, inChannels - ci);
      const a = tap + ci * channelValues;
      for (let n = 0; n < outChannels; n += NR) {
        // A last tile that is not full computes its first channel again.
        tile(
          strip,
          a,
          count > 1 ? a + channelValues : a,
          count > 2 ? a + 2 * channelValues : a,
          panels,
          n * rows * outWidth,
          outWidth,
          rows,
          strideHeight * rowValues,
          sums,
        );
        const width = Math.min(NR, outChannels - n);
        for (let m = 0; m < count; ++m) {
          const to = ((kh * filterWidth + kw) * inChannels + ci + m) * outChannels + n;
          for (let i = 0; i < width; ++i) total[to + i] += sums[m * NR + i];
        }
      }
    }
  };

  for (let image = 0; image < batchSize; ++image) {
    for (let row = 0; row < outHeight; row += rowsPerBlock) {
      const rows = Math.min(rowsPerBlock, outHeight - row);
      gatherRows(image, row * strideHeight - padTop, inputRowsUnder(geometry, rows));
      packRows(image, row, rows);
      for (let kh = 0; kh < filterHeight; ++kh) {
        for (let kw = 0; kw < filterWidth; ++kw) addTap(kh, kw, rows);
      }
    }
  }
  return total;
}
