import type {Unary, UnaryOp} from '../unary.ts';
import {FieldsJob, type RecordKind} from './aroundJob.ts';
import {UNARY, UNARY_WORDS} from './job.generated.ts';

/** The numbers of kernels/unary.cpp. */
const OPS: Readonly<Record<UnaryOp, number>> = {
  leaky: 0,
  expUnit: 1,
  logistic: 2,
  tanh: 3,
  exp: 4,
  sqrt: 5,
  rsqrt: 6,
  reciprocal: 7,
};

export const UNARY_RECORD: RecordKind<{
  readonly record: 'unary';
  readonly unary: Unary;
  readonly count: number;
}> = {
  entry: 'im2win_unary',
  bytes: () => 4 * UNARY_WORDS,
  create: (heap, at, {unary: {op, a, b}, count}, tasks) =>
    new FieldsJob(heap, at, UNARY, {
      words: {op: OPS[op], tasks, count},
      floats: {a, b},
      inputs: ['x'],
      outputs: ['output'],
    }),
};
