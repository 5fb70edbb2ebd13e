// What is fuzzed.
import {binaryRow} from './binary.ts';
import {conv2dRow} from './conv2d.ts';
import {depthwiseRow, gradientRow} from './family.ts';
import {matMulRow} from './matMul.ts';
import {movesRow} from './moves.ts';
import type {FuzzRow} from './row.ts';
import {unaryRow} from './unary.ts';
import {windowsRow} from './windows.ts';

/** A row whose kind of case is its own business. */
// biome-ignore lint/suspicious/noExplicitAny: a list of rows of different kinds
export type AnyFuzzRow = FuzzRow<any>;

export const ROWS: readonly AnyFuzzRow[] = [
  ...(['strict', 'relaxed'] as const).flatMap((simd) =>
    (['auto', 'im2win', 'winograd'] as const).map((algorithm) => conv2dRow('wasm', algorithm, simd)),
  ),
  ...(['im2win', 'winograd'] as const).map((algorithm) => conv2dRow('wasm', algorithm, 'relaxed', 'NCHW')),
  ...(['NHWC', 'NCHW'] as const).flatMap((dataFormat) =>
    (['im2win', 'winograd'] as const).map((algorithm) => conv2dRow('cpu', algorithm, 'auto', dataFormat)),
  ),
  depthwiseRow('wasm', 'strict', 'NHWC'),
  depthwiseRow('wasm', 'relaxed', 'NHWC'),
  depthwiseRow('wasm', 'relaxed', 'NCHW'),
  depthwiseRow('cpu', 'auto', 'NHWC'),
  depthwiseRow('cpu', 'auto', 'NCHW'),
  ...(['strict', 'relaxed'] as const).flatMap((simd) =>
    [false, true].map((depthwise) => gradientRow('wasm', simd, depthwise)),
  ),
  gradientRow('cpu', 'auto', false),
  ...(['strict', 'relaxed'] as const).map(movesRow),
  ...(['strict', 'relaxed'] as const).map(unaryRow),
  ...(['strict', 'relaxed'] as const).map(matMulRow),
  ...(['strict', 'relaxed'] as const).map(binaryRow),
  ...(['strict', 'relaxed'] as const).map(windowsRow),
];
