import {convolutionOf} from '../convolution.ts';
import type {Node} from '../graph.ts';
import type {Pattern} from '../pattern.ts';

type Pairs = readonly (readonly [number, number])[];

/** Zeros around an image become the padding of the convolution behind them. */
export const padding: Pattern = {
  name: 'padding into the convolution',
  apply(node, context) {
    const convolution = convolutionOf(node);
    if (convolution === undefined || (convolution.kind !== 'full' && convolution.kind !== 'depthwise')) {
      return undefined;
    }
    const {x} = node.inputs;
    const pad = x.producer;
    const {graph} = context;
    if (pad?.kernel !== 'PadV2' || pad.attrs.constantValue !== 0 || graph.onlyConsumer(x) !== node) {
      return undefined;
    }
    const pairs = pad.attrs.paddings as unknown as Pairs;
    const own = ownPadding(node);
    const isImage = pairs.length === 4 && x.dtype === 'float32';
    const planar = node.attrs.dataFormat === 'NCHW';
    const sides = planar ? [2, 3] : [1, 2];
    const isOutside = (i: number) => !sides.includes(i) && pairs[i].some((size) => size !== 0);
    if (own === undefined || !isImage || pairs.some((_, i) => isOutside(i))) return undefined;
    const sum = pairs.map(([before, after], i) => [before + own[i][0], after + own[i][1]]);
    const {kernel, attrs, inputs} = node;
    const changed = graph.replace(node, {
      kernel,
      inputs: {...inputs, x: pad.inputs.x},
      attrs: {...attrs, pad: sum as unknown as number[], dimRoundingMode: undefined as never},
    });
    return {was: ['PadV2', kernel], node: changed};
  },
};

/** What a convolution pads by itself, where its size does not depend on the image's. */
function ownPadding({attrs: {pad}}: Node): Pairs | undefined {
  if (pad === 'valid' || pad === 0) {
    return [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ];
  }
  return Array.isArray(pad) ? (pad as unknown as Pairs) : undefined;
}
