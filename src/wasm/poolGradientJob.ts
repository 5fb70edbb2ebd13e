import type {Pooling} from '../pooling.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {POOL_GRADIENT, POOL_GRADIENT_WORDS} from './job.generated.ts';

export const POOL_GRADIENT_RECORD: RecordKind<{
  readonly record: 'poolGradient';
  readonly pooling: Pooling;
}> = {
  entry: 'im2win_pool_gradient',
  bytes: () => 4 * POOL_GRADIENT_WORDS,
  create: (heap, at, {pooling}, tasks) =>
    new FieldsJob(heap, at, POOL_GRADIENT, {
      words: {tasks, ...pooling},
      inputs: ['dy', 'x'],
      outputs: ['output'],
    }),
};
