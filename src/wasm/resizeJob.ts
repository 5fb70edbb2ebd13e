import {type Resizing, type Sample, samplesOf} from '../resizing.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {RESIZE, RESIZE_WORDS, SAMPLE, SAMPLE_WORDS} from './job.generated.ts';

export const RESIZE_RECORD: RecordKind<{readonly record: 'resize'; readonly resizing: Resizing}> = {
  entry: 'im2win_resize',
  bytes: ({resizing: {outHeight, outWidth}}) => 4 * (RESIZE_WORDS + (outHeight + outWidth) * SAMPLE_WORDS),
  create(heap, at, {resizing}, tasks) {
    const {interpolates, shape, outHeight, outWidth} = resizing;
    const [batchSize, inHeight, inWidth, channels] = shape;
    const words = heap.int32();
    const floats = heap.float32();
    let word = (at >>> 2) + RESIZE_WORDS;
    const writeSamples = (samples: readonly Sample[], step: number) => {
      for (const {low, high, fraction} of samples) {
        words[word + SAMPLE.low] = low * step;
        words[word + SAMPLE.high] = high * step;
        floats[word + SAMPLE.fraction] = fraction;
        word += SAMPLE_WORDS;
      }
    };
    writeSamples(samplesOf(resizing, 'rows'), 1);
    writeSamples(samplesOf(resizing, 'columns'), 4 * channels);
    return new FieldsJob(heap, at, RESIZE, {
      words: {
        interpolates: Number(interpolates),
        tasks,
        lines: batchSize * outHeight,
        inHeight,
        inWidth,
        outHeight,
        outWidth,
        channels,
      },
      inputs: ['x'],
      outputs: ['output'],
    });
  },
};
