// Ours or stock: why a convolution is left to tfjs's own kernel, and when it must not be.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {ConvKernel} from './convKernels.ts';
import {InvalidArgument} from './describe.ts';
import type {CallContext} from './family.ts';
import type {ConvGeometry} from './geometry.ts';

/** What tfjs's own convolutions on a backend are like. */
export interface StockKernels {
  /** Whether they read a tensor by its own dtype and size. Others take its data for floats, and read beyond its end. */
  readonly readAny: boolean;
  /** Whether they take channels first. */
  readonly planar: boolean;
  /** Whether they read the filter where it lies: nothing is faster where each of its values is used once. */
  readonly unpacked: boolean;
  /** Why they compute a convolution wrongly, if so: it must never be left to them. */
  defect?(geometry: ConvGeometry): string | undefined;
}

/** The tensors of a call, by the names of tfjs's inputs. */
interface Tensors {
  readonly dy?: TensorInfo;
  readonly preluActivationWeights?: TensorInfo;
}

export const STOCK_WAS_ASKED = "algorithm 'stock' was asked for";

/** Why no kernel is ours: none can run here, or stock was asked for. */
export function whyNothing({unavailable, algorithm}: CallContext): string | undefined {
  return unavailable ?? (algorithm === 'stock' ? STOCK_WAS_ASKED : undefined);
}

/**
 * Why tfjs's own kernel is to compute a convolution; `undefined` where it is ours.
 *
 * @throws InvalidArgument if a tensor is none that either can take.
 */
export function whyStock(
  kernel: ConvKernel,
  inputs: Tensors,
  geometry: ConvGeometry,
  context: CallContext,
  stock: StockKernels,
): string | undefined {
  const dtype = otherDtype(inputs);
  if (dtype !== undefined) {
    if (stock.readAny && !kernel.own) return dtype;
    throw new InvalidArgument(`${dtype}; allowed: float32.`);
  }
  if (kernel.own) return undefined;
  if (kernel.computes === 'output') return whyStockOutput(geometry, context, stock);
  const size = otherOutput(inputs, geometry);
  if (size === undefined) return whyNothing(context);
  if (!stock.readAny) checkGradient(inputs, geometry);
  return size;
}

function whyStockOutput(
  geometry: ConvGeometry,
  context: CallContext,
  stock: StockKernels,
): string | undefined {
  const {algorithm, unavailable} = context;
  if (geometry.filterHeight * geometry.filterWidth === 0) return undefined;
  if (stock.defect?.(geometry) !== undefined) return undefined;
  if (unavailable !== undefined) return unavailable;
  if (geometry.dataFormat === 'NCHW' && !stock.planar && algorithm !== 'stock') return undefined;
  // Packing a value that is used once takes longer than stock's loop over the filter.
  const windows = geometry.batchSize * geometry.outHeight * geometry.outWidth;
  if (algorithm === 'auto' && stock.unpacked && windows === 1 && geometry.channelMultiplier === undefined) {
    return 'each filter value is used once';
  }
  return whyNothing(context);
}

/** Slopes may be integers, as tfjs's op lets them pass. */
function otherDtype({preluActivationWeights, ...inputs}: Tensors): string | undefined {
  for (const [name, tensor] of Object.entries(inputs) as [string, TensorInfo | undefined][]) {
    if (tensor != null && tensor.dtype !== 'float32') return `${name} has dtype ${tensor.dtype}`;
  }
  const slopes = preluActivationWeights?.dtype ?? 'float32';
  if (!SLOPE_DTYPES.includes(slopes)) return `preluActivationWeights has dtype ${slopes}`;
  return undefined;
}

const SLOPE_DTYPES: readonly string[] = ['float32', 'int32', 'bool'];

/** tfjs's kernels take a larger dy and read the corner that they need; on cpu a smaller one, too. */
function otherOutput({dy}: Tensors, {outShape}: ConvGeometry): string | undefined {
  return dy?.shape.join() === outShape.join()
    ? undefined
    : `dy has shape [${dy?.shape}], and the output [${outShape}]`;
}

/** @throws InvalidArgument if dy ends before the output does: tfjs's wasm kernel would read on behind it. */
function checkGradient({dy}: Tensors, {outShape, dataFormat}: ConvGeometry): void {
  const shape = dy?.shape ?? [];
  const [batch, channels, ...sides] = dataFormat === 'NHWC' ? [0, 3, 1, 2] : [0, 1, 2, 3];
  const fits =
    shape.length === 4 &&
    shape[batch] === outShape[batch] &&
    shape[channels] === outShape[channels] &&
    sides.every((d) => shape[d] >= outShape[d]);
  if (!fits) {
    throw new InvalidArgument(
      `dy (the input of a transposed convolution) has shape [${shape}]; allowed: the shape of the ` +
        `convolution's output, [${outShape}].`,
    );
  }
}
