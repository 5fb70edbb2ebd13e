import type {ConvGeometry} from '../geometry.ts';
import {filterPlace} from '../taps.ts';

/**
 * A tfjs filter, [filterHeight, filterWidth, inChannels, outChannels], as panels:
 * [ceil(outChannels / nr)][filterWidth][filterHeight][inChannels][nr]. The last panel has
 * zeros behind the last channel.
 */
export function packFilter(filter: ArrayLike<number>, geometry: ConvGeometry, nr: number): Float64Array {
  const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
  const {offset, rowTaps} = filterPlace(geometry);
  const depth = filterHeight * filterWidth * inChannels;
  const panels = new Float64Array(Math.ceil(outChannels / nr) * depth * nr);
  let to = 0;
  for (let n = 0; n < outChannels; n += nr) {
    const width = Math.min(nr, outChannels - n);
    for (let kw = 0; kw < filterWidth; ++kw) {
      for (let kh = 0; kh < filterHeight; ++kh) {
        let from = offset + (kh * rowTaps + kw) * inChannels * outChannels + n;
        for (let ci = 0; ci < inChannels; ++ci) {
          for (let i = 0; i < width; ++i) panels[to + i] = filter[from + i];
          to += nr;
          from += outChannels;
        }
      }
    }
  }
  return panels;
}
