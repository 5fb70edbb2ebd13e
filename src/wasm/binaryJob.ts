import type {Binary, BinaryOp} from '../binary.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {BINARY, BINARY_WORDS} from './job.generated.ts';

/** In the order of kernels/binary.cpp. */
const OPS: readonly BinaryOp[] = [
  'add',
  'sub',
  'subFrom',
  'mul',
  'div',
  'divInto',
  'max',
  'min',
  'squaredDifference',
  'prelu',
  'preluBy',
  'equal',
  'notEqual',
  'less',
  'lessEqual',
  'greater',
  'greaterEqual',
];
const FORMS: readonly Binary['form'][] = ['rows', 'repeat', 'expand'];

export const BINARY_RECORD: RecordKind<{readonly record: 'binary'; readonly binary: Binary}> = {
  entry: 'im2win_binary',
  bytes: () => 4 * BINARY_WORDS,
  create: (heap, at, {binary}, tasks) =>
    new FieldsJob(heap, at, BINARY, {
      words: fieldsOf(binary, tasks),
      inputs: binary.swapped ? ['b', 'a'] : ['a', 'b'],
      outputs: ['output'],
    }),
};

function fieldsOf(binary: Binary, tasks: number): Partial<Record<keyof typeof BINARY, number>> {
  const {op, form, run, segment, scalar, whole, patternRows, outer} = binary;
  const sizes = Object.fromEntries([0, 1, 2, 3, 4].map((i) => [`size${i}`, outer[i]?.size ?? 1]));
  const strides = outer.flatMap(({from, to}, i) => [
    [`a${i}`, from],
    [`b${i}`, to],
  ]);
  return {
    op: OPS.indexOf(op),
    form: FORMS.indexOf(form),
    tasks,
    rows: outer.reduce((rows, {size}) => rows * size, 1),
    run,
    segment,
    scalar: Number(scalar),
    whole: Number(whole),
    patternRows,
    ...sizes,
    ...Object.fromEntries(strides),
  };
}
