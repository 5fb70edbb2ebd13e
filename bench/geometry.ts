import {type ConvGeometry, convGeometry} from '../src/geometry.ts';
import {isDepthwise, type Layer} from './layer.ts';

/** A layer as the library sees it. */
export function geometryOf(layer: Layer): ConvGeometry {
  const {xShape, filterShape, strides, dilations, pad} = layer;
  const attributes = {strides: [...strides], dilations: [...dilations], pad} as const;
  return convGeometry(xShape, filterShape, attributes as never, {depthwise: isDepthwise(layer)});
}
