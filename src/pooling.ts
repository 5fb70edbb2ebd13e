// How images are pooled: windows of one channel come to one value each. NHWC.
import {type MemoryTasks, memoryTasks} from './memoryTasks.ts';

/** In the words of tfjs's `Conv2DInfo`. */
export interface PoolGeometry {
  readonly batchSize: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly inChannels: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly padTop: number;
  readonly padLeft: number;
}

export interface Pooling {
  readonly geometry: PoolGeometry;
  /** Values are averaged; otherwise the largest is taken. */
  readonly averages: boolean;
  /** Whether the rows of windows are reduced first, for each input row once. */
  readonly separable: boolean;
  readonly channelsPerBlock: number;
  readonly scratchBytes: number;
}

/** What the ring of a block of channels takes at most, where that leaves as many channels as are worth a block. */
const RING_BYTES = 2 ** 17;
const FEWEST_CHANNELS = 32;

export function poolingOf(geometry: PoolGeometry, averages: boolean): Pooling {
  const {filterHeight, outWidth, inChannels} = geometry;
  const separable = loadsOf(geometry, true) < loadsOf(geometry, false);
  if (!separable) return {geometry, averages, separable, channelsPerBlock: inChannels, scratchBytes: 0};
  const channelBytes = 4 * filterHeight * outWidth;
  const fitting = 16 * Math.floor(RING_BYTES / channelBytes / 16);
  const channelsPerBlock = Math.min(inChannels, Math.max(FEWEST_CHANNELS, fitting));
  return {geometry, averages, separable, channelsPerBlock, scratchBytes: channelBytes * channelsPerBlock};
}

/** Values that are read, and written between, for one of the output. */
function loadsOf({filterHeight, filterWidth, strideHeight}: PoolGeometry, separable: boolean): number {
  if (!separable) return filterHeight * filterWidth;
  return Math.min(strideHeight, filterHeight) * (filterWidth + 1) + filterHeight;
}

// So many loads of a cache take as long as reading and writing a value of memory.
const LOADS_PER_VALUE = 6;

export function poolingLoad({geometry, separable}: Pooling): MemoryTasks {
  const {batchSize, inHeight, inWidth, outHeight, outWidth, inChannels} = geometry;
  const outputs = batchSize * outHeight * outWidth * inChannels;
  const inputs = batchSize * inHeight * inWidth * inChannels;
  const values = Math.max((outputs * loadsOf(geometry, separable)) / LOADS_PER_VALUE, (inputs + outputs) / 2);
  return memoryTasks(4 * values);
}
