import {InvalidArgument} from './describe.ts';
import type {ConvGeometry} from './geometry.ts';

/**
 * How a bias or a prelu slope is spread over the output: the distance, in
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
  const [batch, a, b, c] = strides;
  return dataFormat === 'NHWC'
    ? {batch, row: a, pixel: b, channel: c}
    : {batch, channel: a, row: b, pixel: c};
}
