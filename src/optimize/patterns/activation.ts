import {isPerChannel} from '../affine.ts';
import {scalarOf} from '../constants.ts';
import {type Convolution, convolutionOf, type Fusion, fuse} from '../convolution.ts';
import type {Node, Value} from '../graph.ts';
import type {Pattern} from '../pattern.ts';

/** An activation becomes a part of the convolution before it. */
export const activation: Pattern = {
  name: 'activation into the convolution',
  apply(node, context) {
    const x = inputOf(node);
    const convolution = convolutionOf(x?.producer);
    if (x === undefined || convolution === undefined || context.graph.onlyConsumer(x) !== node)
      return undefined;
    const fusion = fusionOf(node, convolution);
    const own = fusion && fuse(convolution, node, fusion, context);
    return own && {was: [convolution.node.kernel, node.kernel], node: own};
  },
};

/** The tensor that a node acts upon. */
function inputOf({kernel, inputs}: Node): Value | undefined {
  if (kernel !== 'Minimum' && kernel !== 'Maximum') return inputs.x;
  return inputs.a?.constant === undefined ? inputs.a : inputs.b;
}

const ALONE: Readonly<Record<string, string>> = {
  Relu: 'relu',
  Relu6: 'relu6',
  Elu: 'elu',
  Sigmoid: 'sigmoid',
  Tanh: 'tanh',
};

function fusionOf(
  node: Node,
  {activation, channelAxis, node: {output, attrs: before}}: Convolution,
): Fusion | undefined {
  const {kernel, inputs, attrs} = node;
  if (before.residualAfterActivation) return undefined;
  // The second half of a relu6 that is written as two.
  if (kernel === 'Minimum' && activation === 'relu') {
    return scalarOf(inputs.a) === 6 || scalarOf(inputs.b) === 6 ? {activation: 'relu6'} : undefined;
  }
  if (activation !== 'linear') return undefined;
  if (kernel in ALONE) return {activation: ALONE[kernel]};
  switch (kernel) {
    case 'LeakyRelu':
      return {activation: 'leakyrelu', attrs: {leakyreluAlpha: attrs.alpha}};
    case 'Prelu': {
      const slope = inputs.alpha;
      if (slope === undefined || !isPerChannel(slope, output.shape, channelAxis)) return undefined;
      return {activation: 'prelu', slope};
    }
    case 'Maximum':
      return scalarOf(inputs.a) === 0 || scalarOf(inputs.b) === 0 ? {activation: 'relu'} : undefined;
    case 'ClipByValue': {
      const {clipValueMin, clipValueMax} = attrs;
      if (clipValueMin !== 0) return undefined;
      if (clipValueMax === 6) return {activation: 'relu6'};
      return clipValueMax === Number.POSITIVE_INFINITY ? {activation: 'relu'} : undefined;
    }
    default:
      return undefined;
  }
}
