import {InvalidArgument} from './describe.ts';
import type {ConvGeometry} from './geometry.ts';

/**
 * How a bias, a prelu slope or a residual is spread over the output: the distance, in
 * elements, from one image, row, pixel and channel to the next; 0 where one
 * value serves all.
 */
export interface OperandStrides {
  readonly batch: number;
  readonly row: number;
  readonly pixel: number;
  readonly channel: number;
}

/**
 * Strides of a tensor that is broadcast to the output by NumPy's rules. For
 * `NCHW` a list of values belongs to the channels, as tfjs has it.
 *
 * @param name The input's name, for the message.
 * @throws InvalidArgument if the shape cannot be broadcast to the output's.
 */
export function operandStrides(
  name: string,
  shape: readonly number[],
  geometry: ConvGeometry,
): OperandStrides {
  const {outShape, dataFormat} = geometry;
  const own = dataFormat === 'NCHW' && shape.length === 1 ? [shape[0], 1, 1] : shape;
  const missing = outShape.length - own.length;
  if (missing < 0 || own.some((size, d) => size !== 1 && size !== outShape[d + missing])) {
    throw new InvalidArgument(
      `${name} has shape [${shape}]; allowed: a shape that broadcasts to the output's, [${outShape}].`,
    );
  }
  const strides = [0, 0, 0, 0];
  let stride = 1;
  for (let d = outShape.length - 1; d >= missing; --d) {
    const size = own[d - missing];
    if (size !== 1) strides[d] = stride;
    stride *= size;
  }
  return inFormat(dataFormat, strides);
}

/**
 * Strides of a tensor that has a value for each of the output's.
 *
 * @throws InvalidArgument if its shape is not the output's.
 */
export function residualStrides(shape: readonly number[], geometry: ConvGeometry): OperandStrides {
  const {outShape, dataFormat} = geometry;
  checkResidual(shape, outShape);
  const [, a, b, c] = outShape;
  return inFormat(dataFormat, [a * b * c, b * c, c, 1]);
}

/** @throws InvalidArgument if a residual's shape is not the output's. */
export function checkResidual(shape: readonly number[], outShape: readonly number[]): void {
  if (shape.join() === outShape.join()) return;
  throw new InvalidArgument(`residual has shape [${shape}]; allowed: the output's, [${outShape}].`);
}

function inFormat(
  dataFormat: ConvGeometry['dataFormat'],
  [batch, a, b, c]: readonly number[],
): OperandStrides {
  return dataFormat === 'NHWC'
    ? {batch, row: a, pixel: b, channel: c}
    : {batch, channel: a, row: b, pixel: c};
}
