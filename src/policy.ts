// Ours or stock: why a convolution is left to tfjs's own kernel.
import type {ConvGeometry} from './geometry.ts';
import type {PlanContext} from './plan.ts';
import {stockDefect} from './stock.ts';

const ASKED = "algorithm 'stock' was asked for";

/** Why tfjs's own kernel is to compute a convolution; `undefined` where it is ours. */
export function whyStock(geometry: ConvGeometry, context: PlanContext): string | undefined {
  if (geometry.filterHeight * geometry.filterWidth === 0) return undefined;
  if (context.backend === 'wasm') {
    if (stockDefect(geometry) !== undefined) return undefined;
    if (context.unavailable !== undefined) return context.unavailable;
    // Stock has no channels-first.
    if (geometry.dataFormat === 'NCHW' && context.algorithm !== 'stock') return undefined;
    if (context.algorithm === 'auto' && context.threads > 1) {
      return `tfjs runs on ${context.threads} threads, im2win on one`;
    }
  }
  if (context.algorithm === 'stock') return ASKED;
  // Packing a value that is used once takes longer than stock's loop over the filter.
  const windows = geometry.batchSize * geometry.outHeight * geometry.outWidth;
  const once = context.backend === 'cpu' && context.algorithm === 'auto' && windows === 1;
  return once && geometry.channelMultiplier === undefined ? 'each filter value is used once' : undefined;
}

/** The same for a gradient, of which stock wasm has fewer, and none wrong. */
export function whyStockGradient(context: PlanContext): string | undefined {
  if (context.backend === 'wasm' && context.unavailable !== undefined) return context.unavailable;
  return context.algorithm === 'stock' ? ASKED : undefined;
}
