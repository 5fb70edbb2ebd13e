import {type Affine, affineOf, scaled, spread} from '../affine.ts';
import {type Convolution, convolutionOf, fuse, fusedKernel} from '../convolution.ts';
import type {Value} from '../graph.ts';
import type {Pattern, PatternContext} from '../pattern.ts';

/** A batch norm, or a sum or product with constants of a channel, becomes a part of the filter before it and of its bias. */
export const affineAfter: Pattern = {
  name: 'batch norm or constants into the filter before',
  apply(node, context) {
    const {graph} = context;
    const found = affineOf(node, (shape) => {
      const producers = Object.values(node.inputs).map(({producer}) => convolutionOf(producer));
      return producers.find((one) => one !== undefined)?.channelAxis ?? shape.length - 1;
    });
    if (found === undefined) return undefined;
    const convolution = convolutionOf(found.x.producer);
    if (convolution === undefined || graph.onlyConsumer(found.x) !== node) return undefined;
    if (convolution.activation !== 'linear' || convolution.residual !== undefined) return undefined;
    if (node.output.shape[convolution.channelAxis] !== convolution.outChannels) return undefined;
    const {bias} = convolution;
    if (bias !== undefined && (bias.constant === undefined || bias.shape.length !== 1)) return undefined;
    const filter = found.scales ? filterOf(convolution, found, context) : convolution.filter;
    const was = [convolution.node.kernel, node.kernel];
    if (fusedKernel(convolution, {}, context) === undefined) {
      return convolution.kind === 'transposed' && found.scales
        ? {was, node: intoTransposed(convolution, found, filter, context)}
        : undefined;
    }
    const own = fuse(convolution, node, {filter, bias: biasOf(convolution, found, context)}, context);
    return own && {was, node: own};
  },
};

/** A filter times a factor for each output channel. */
function filterOf(convolution: Convolution, affine: Affine, {constants}: PatternContext): Value {
  const {filter, kind, channelAxes, outChannels} = convolution;
  const [first] = channelAxes;
  const inner = filter.shape.slice(first + channelAxes.length).reduce((a, b) => a * b, 1);
  return constants.get(
    `${kind} filter × ${affine.name}`,
    [filter, ...affine.constants],
    filter.shape,
    (values, ...rest) => scaled(values, affine.of(rest, outChannels).scale, inner),
  );
}

function biasOf({bias, outChannels}: Convolution, affine: Affine, {constants}: PatternContext): Value {
  const of = bias === undefined ? affine.constants : [...affine.constants, bias];
  return constants.get(`bias ${bias !== undefined} of ${affine.name}`, of, [outChannels], (...values) => {
    const {scale, shift} = affine.of(values.slice(0, affine.constants.length), outChannels);
    const before = bias === undefined ? [0] : values[affine.constants.length];
    return spread(before, outChannels).map((value, i) => value * scale[i] + shift[i]);
  });
}

/** No kernel of a transposed convolution has a bias: what is added stays a sum of its own. */
function intoTransposed(
  {node, filter: {shape}, outChannels}: Convolution,
  affine: Affine,
  filter: Value,
  context: PatternContext,
) {
  const {graph} = context;
  const last = [...node.output.consumers][0];
  const inputs = {...node.inputs, filter};
  if (!affine.shifts) {
    return graph.replace(last, {kernel: node.kernel, inputs, attrs: node.attrs});
  }
  const channels = shape[2];
  const shift = context.constants.get(
    `shift of ${affine.name}`,
    affine.constants,
    [channels],
    (...values) => affine.of(values, outChannels).shift,
  );
  const scaledNode = graph.replace(node, {kernel: node.kernel, inputs, attrs: node.attrs});
  return graph.replace(last, {kernel: 'Add', inputs: {a: scaledNode.output, b: shift}, attrs: {}});
}
