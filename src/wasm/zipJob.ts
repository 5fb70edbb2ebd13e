import type {Zip} from '../zip.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {ZIP, ZIP_WORDS} from './job.generated.ts';

/** In the order of kernels/zip.cpp. */
const OPS: readonly Zip['op'][] = ['sum', 'select', 'selectBytes'];

export const ZIP_RECORD: RecordKind<{readonly record: 'zip'; readonly zip: Zip}> = {
  entry: 'im2win_zip',
  bytes: ({zip}) => 4 * (ZIP_WORDS + zip.sources),
  create(heap, at, {zip: {op, count, sources}}, tasks) {
    // The sources' places lie behind the record.
    const places = Array.from({length: sources}, (_, i) => [`source${i}`, ZIP_WORDS + i] as const);
    const layout: Record<string, number> = {...ZIP, ...Object.fromEntries(places)};
    return new FieldsJob(heap, at, layout, {
      words: {op: OPS.indexOf(op), tasks, count, sources},
      inputs: places.map(([name]) => name),
      outputs: ['output'],
    });
  },
};
