import {convolutionOf} from '../convolution.ts';
import type {Pattern} from '../pattern.ts';

type Pair = readonly [number, number];

/** SpaceToBatchND, a convolution and BatchToSpaceND, as the converter writes one whose filter is dilated. */
export const dilation: Pattern = {
  name: 'dilated convolution as one',
  apply(node, {graph}) {
    if (node.kernel !== 'BatchToSpaceND') return undefined;
    const {x} = node.inputs;
    const convolution = convolutionOf(x.producer);
    if (convolution === undefined || graph.onlyConsumer(x) !== node) return undefined;
    const {attrs, inputs, kernel} = convolution.node;
    const image = inputs.x;
    const split = image?.producer;
    if (split?.kernel !== 'SpaceToBatchND' || graph.onlyConsumer(image) !== convolution.node)
      return undefined;
    const blockShape = node.attrs.blockShape as number[];
    const isOne = (value: unknown) => [value].flat().every((one) => one === 1);
    const fits =
      attrs.dataFormat !== 'NCHW' &&
      attrs.pad === 'valid' &&
      isOne(attrs.strides) &&
      isOne(attrs.dilations ?? 1) &&
      convolution.residual === undefined &&
      blockShape.length === 2 &&
      split.attrs.blockShape?.toString() === blockShape.toString() &&
      split.inputs.x.shape.length === 4;
    if (!fits) return undefined;
    const paddings = split.attrs.paddings as unknown as Pair[];
    const crops = node.attrs.crops as unknown as Pair[];
    const pad = paddings.map((pair, i) => [pair[0] - crops[i][0], pair[1] - crops[i][1]]);
    if (pad.flat().some((size) => size < 0)) return undefined;
    const own = graph.replace(node, {
      kernel,
      inputs: {...inputs, x: split.inputs.x},
      attrs: {
        ...attrs,
        pad: [[0, 0], ...pad, [0, 0]] as unknown as number[],
        dilations: blockShape,
      },
    });
    return {was: ['SpaceToBatchND', kernel, 'BatchToSpaceND'], node: own};
  },
};
