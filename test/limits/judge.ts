// Whether what became of a call is as it must be.
import type {Outcome} from './child.ts';
import {inputShapes, type LimitCall, resultShape, sizeOf, sizesOf} from './limitCase.ts';
import {countProducts} from './sampled.ts';

/** An outcome, or what became of a process that had none. */
export type Ending = Outcome | {readonly kind: 'crash' | 'hang' | 'memory'; readonly message: string};

export const MILLISECONDS = 100;
const BYTES = 64 * 2 ** 20;

export interface Bounds {
  readonly milliseconds: number;
  readonly bytes: number;
}

/**
 * What a call may take: what stock takes where its answer is right, or what its inputs,
 * its output and its products call for; and a little more.
 */
export function boundsOf(call: LimitCall, ours: Outcome, stock: Ending): Bounds {
  const needed = ours.kind === 'right' ? needs(call) : {milliseconds: 0, bytes: 0};
  const taken =
    stock.kind === 'right'
      ? {milliseconds: stock.milliseconds, bytes: Math.max(needed.bytes, stock.peakGrowth)}
      : needed;
  return {milliseconds: 1.2 * taken.milliseconds + MILLISECONDS, bytes: taken.bytes + BYTES};
}

/** Nanoseconds for each product and each value, of JavaScript that is not fast. */
const NANOSECONDS = 10;

function needs(call: LimitCall): Bounds {
  const output = sizeOf(resultShape(call));
  const inputs = Object.values(inputShapes(call)).reduce(
    (sum, shape) => sum + (shape === undefined ? 0 : sizeOf(shape)),
    0,
  );
  const steps = countProducts(sizesOf(call)) + inputs + output;
  return {milliseconds: (steps * NANOSECONDS) / 1e6, bytes: 4 * output};
}

/** What is wrong with an ending, or `undefined`. */
export function judge(call: LimitCall, ours: Ending, stock: Ending): string | undefined {
  switch (ours.kind) {
    case 'right':
    case 'clear error':
      return tooMuch(call, ours, stock);
    case 'hang':
      return `hangs: ${ours.message}`;
    case 'crash':
      return `crashes: ${ours.message}`;
    case 'memory':
      return `takes memory: ${ours.message}`;
    default:
      return `${ours.kind}: ${ours.message}`;
  }
}

function tooMuch(call: LimitCall, ours: Outcome, stock: Ending): string | undefined {
  const {milliseconds, bytes} = boundsOf(call, ours, stock);
  const beside =
    stock.kind === 'right'
      ? `, stock ${stock.milliseconds.toFixed(0)} ms, ${mebibytes(stock.peakGrowth)}`
      : '';
  if (ours.milliseconds > milliseconds) {
    return `slow: ${ours.milliseconds.toFixed(0)} ms of ${milliseconds.toFixed(0)} allowed (${ours.kind}${beside})`;
  }
  // The heap grows by up to a fifth more than is asked for, or 96 MiB.
  const heap = bytes + Math.min(0.2 * (ours.heapBefore + bytes), 96 * 2 ** 20);
  const grown = Math.max(ours.peakGrowth - bytes, ours.heapGrowth - heap);
  if (grown > 0) {
    return `takes ${mebibytes(Math.max(ours.peakGrowth, ours.heapGrowth))} of ${mebibytes(bytes)} allowed (${ours.kind}${beside})`;
  }
  return undefined;
}

export const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`;
