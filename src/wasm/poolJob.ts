import type {Pooling} from '../pooling.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {POOL, POOL_WORDS} from './job.generated.ts';

export const POOL_RECORD: RecordKind<{readonly record: 'pool'; readonly pooling: Pooling}> = {
  entry: 'im2win_pool',
  bytes: () => 4 * POOL_WORDS,
  create(heap, at, {pooling}, tasks) {
    const {geometry, averages, separable, channelsPerBlock} = pooling;
    const {batchSize, inChannels, ...sizes} = geometry;
    const blocks = Math.ceil(inChannels / channelsPerBlock);
    return new FieldsJob(heap, at, POOL, {
      words: {
        ...sizes,
        averages: Number(averages),
        separable: Number(separable),
        tasks,
        lines: batchSize * blocks * geometry.outHeight,
        channels: inChannels,
        channelsPerBlock,
      },
      inputs: ['x'],
      outputs: ['output'],
    });
  },
};
