import type {DataId} from '@tensorflow/tfjs-core';
import {Packings} from '../packings.ts';

/** A packed filter as it is wanted. */
export interface WantedPacking {
  readonly packing: string;
  /** What all packings of the filter may take together, in bytes. */
  readonly keptBytes: number;
  pack(): Float64Array;
}

interface Filter {
  /** A copy of the values that were packed. On this backend an app can reach a tensor's own array and change it. */
  readonly values: Float32Array;
  readonly packings: Packings<{readonly bytes: number; readonly panels: Float64Array}>;
}

/** Packed filters, by the filter's data id and packing. Each is kept until its data is collected or changed. */
export class FilterCache {
  private readonly filters = new WeakMap<DataId, Filter>();

  /** A filter in a packing. It is packed anew where its values have changed, or where there was no room to keep it. */
  get(dataId: DataId, values: ArrayLike<number>, {packing, keptBytes, pack}: WantedPacking): Float64Array {
    const known = this.filters.get(dataId);
    const filter =
      known !== undefined && same(known.values, values)
        ? known
        : {
            values: Float32Array.from(values),
            packings: new Packings<{bytes: number; panels: Float64Array}>(),
          };
    this.filters.set(dataId, filter);
    const found = filter.packings.get(packing);
    if (found !== undefined) return found.panels;
    const panels = pack();
    const bytes = panels.byteLength;
    if (filter.packings.makeRoom(packing, bytes, keptBytes)) filter.packings.keep(packing, {bytes, panels});
    return panels;
  }
}

function same(packed: Float32Array, values: ArrayLike<number>): boolean {
  if (packed.length !== values.length) return false;
  for (let i = 0; i < packed.length; ++i) {
    if (packed[i] !== values[i] && !(Number.isNaN(packed[i]) && Number.isNaN(values[i]))) return false;
  }
  return true;
}
