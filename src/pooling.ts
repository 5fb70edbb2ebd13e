// The gradient of a max pooling, as kernels/pool_gradient.cpp computes it.
import {type MemoryTasks, memoryTasks} from './memoryTasks.ts';

/** The windows of a pooling, NHWC, in the words of tfjs's Conv2DInfo. */
export interface Pooling {
  readonly batchSize: number;
  readonly channels: number;
  readonly inHeight: number;
  readonly inWidth: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly filterHeight: number;
  readonly filterWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly padTop: number;
  readonly padLeft: number;
}

/** Channels of an image that a task takes at least. */
const GROUP = 16;

export function poolGradientLoad(pooling: Pooling): MemoryTasks {
  const {batchSize, channels, inHeight, inWidth, outHeight, outWidth, filterHeight, filterWidth} = pooling;
  const values =
    channels * batchSize * (inHeight * inWidth + outHeight * outWidth * filterHeight * filterWidth);
  const {tasks, cost} = memoryTasks(4 * values);
  return {tasks: Math.min(tasks, batchSize * Math.ceil(channels / GROUP)), cost};
}
