import type {BatchNorm} from '../batchNorm.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {BATCH_NORM, BATCH_NORM_WORDS} from './job.generated.ts';

export const BATCH_NORM_RECORD: RecordKind<{readonly record: 'batchNorm'; readonly batchNorm: BatchNorm}> = {
  entry: 'im2win_batch_norm',
  bytes: () => 4 * BATCH_NORM_WORDS,
  create(heap, at, {batchNorm: {size, row, sizes, epsilon}}, tasks) {
    const [meanSize, varianceSize, offsetSize, scaleSize] = sizes;
    return new FieldsJob(heap, at, BATCH_NORM, {
      words: {tasks, size, row, meanSize, varianceSize, offsetSize, scaleSize},
      floats: {epsilon, zero: 0, one: 1},
      inputs: ['x', 'mean', 'variance', 'offset', 'scale'],
      outputs: ['output'],
    });
  },
};
