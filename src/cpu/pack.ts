import type {ConvGeometry} from '../geometry.ts';
import {filterPlace} from '../taps.ts';
import {NR} from './tile.ts';

/**
 * A tfjs filter, [filterHeight, filterWidth, inChannels, outChannels], as panels:
 * [ceil(outChannels / NR)][filterWidth][filterHeight][inChannels][NR], zeros behind
 * the last channel.
 */
export function packFilter(filter: ArrayLike<number>, geometry: ConvGeometry): Float64Array {
  const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
  const {offset, rowTaps} = filterPlace(geometry);
  const depth = filterHeight * filterWidth * inChannels;
  const panels = new Float64Array(Math.ceil(outChannels / NR) * depth * NR);
  let to = 0;
  for (let n = 0; n < outChannels; n += NR) {
    const width = Math.min(NR, outChannels - n);
    for (let kw = 0; kw < filterWidth; ++kw) {
      for (let kh = 0; kh < filterHeight; ++kh) {
        let from = offset + (kh * rowTaps + kw) * inChannels * outChannels + n;
        for (let ci = 0; ci < inChannels; ++ci) {
          for (let i = 0; i < width; ++i) panels[to + i] = filter[from + i];
          to += NR;
          from += outChannels;
        }
      }
    }
  }
  return panels;
}
