import {affineOf, scaled, spread} from '../affine.ts';
import {convolutionOf, fuse, padsInput} from '../convolution.ts';
import type {Pattern} from '../pattern.ts';

/**
 * A batch norm, or a sum or product with constants of a channel, becomes a part of the filter behind it. What is added
 * does not, where windows see the zeros beyond the image: there nothing was added.
 */
export const affineBefore: Pattern = {
  name: 'batch norm or constants into the filter behind',
  apply(node, context) {
    const convolution = convolutionOf(node);
    if (convolution === undefined || convolution.kind === 'transposed') return undefined;
    if (node.attrs.dataFormat === 'NCHW') return undefined;
    const {filter, kind, outChannels, bias} = convolution;
    const x = kind === 'dense' ? node.inputs.a : node.inputs.x;
    const before = x.producer;
    if (before === undefined || context.graph.onlyConsumer(x) !== node) return undefined;
    const affine = affineOf(before, (shape) => shape.length - 1);
    if (affine === undefined || (affine.shifts && padsInput(convolution))) return undefined;
    if (bias !== undefined && (bias.constant === undefined || bias.shape.length !== 1)) return undefined;
    const inAxis = kind === 'dense' ? filter.shape.length - 2 : 2;
    const inChannels = filter.shape[inAxis];
    if (x.shape[x.shape.length - 1] !== inChannels) return undefined;
    const inner = filter.shape.slice(inAxis + 1).reduce((a, b) => a * b, 1);
    const {constants} = context;
    const own = affine.scales
      ? constants.get(
          `${kind} filter behind ${affine.name}`,
          [filter, ...affine.constants],
          filter.shape,
          (values, ...rest) => scaled(values, affine.of(rest, inChannels).scale, inner),
        )
      : filter;
    const shifted = () =>
      constants.get(
        `${kind} bias ${bias !== undefined} behind ${affine.name}`,
        [filter, ...affine.constants, ...(bias === undefined ? [] : [bias])],
        [outChannels],
        (values, ...rest) => {
          const {shift} = affine.of(rest.slice(0, affine.constants.length), inChannels);
          const given = bias === undefined ? [0] : rest[affine.constants.length];
          const sums = Float64Array.from(spread(given, outChannels));
          for (let i = 0; i < values.length; ++i) {
            sums[i % outChannels] += values[i] * shift[Math.floor(i / inner) % inChannels];
          }
          return sums;
        },
      );
    const fused = fuse(
      convolution,
      node,
      {filter: own, bias: affine.shifts ? shifted() : bias, x: affine.x},
      context,
    );
    return fused && {was: [before.kernel, node.kernel], node: fused};
  },
};
