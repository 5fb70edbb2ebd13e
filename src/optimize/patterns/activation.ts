import type {NamedAttrMap} from '@tensorflow/tfjs-core';
import {isPerChannel} from '../affine.ts';
import {scalarOf} from '../constants.ts';
import {type Convolution, convolutionOf, type Fusion, fuse} from '../convolution.ts';
import {factorOf, isSixth} from '../factors.ts';
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
    // What is added behind an activation is not what it acts upon.
    if (convolution.node.attrs.residualAfterActivation) return undefined;
    const fusion = boundsFusion(node, convolution) ?? otherFusion(node, convolution);
    const own = fusion && fuse(convolution, node, fusion, context);
    return own && {was: [convolution.node.kernel, node.kernel], node: own};
  },
};

const BINARY = ['Minimum', 'Maximum', 'Multiply', 'RealDiv'];

/** The tensor that a node acts upon. */
function inputOf({kernel, inputs}: Node): Value | undefined {
  if (!BINARY.includes(kernel)) return inputs.x;
  return inputs.a?.constant === undefined ? inputs.a : inputs.b;
}

/** Values below and above these are these. */
type Bounds = readonly [low: number, high: number];

const NONE: Bounds = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
const NAMED: Readonly<Record<string, Bounds>> = {
  linear: NONE,
  relu: [0, Number.POSITIVE_INFINITY],
  relu6: [0, 6],
};

/** One bound behind another, however they are written, is one pair of them. */
function boundsFusion(node: Node, {activation, node: {attrs}}: Convolution): Fusion | undefined {
  const before = activation === 'clip' ? clipOf(attrs) : NAMED[activation];
  const own = boundsOf(node);
  if (before === undefined || own === undefined) return undefined;
  const bounds: Bounds = [Math.max(before[0], own[0]), Math.min(before[1], own[1])];
  if (!(bounds[0] <= bounds[1])) return undefined;
  const named = Object.entries(NAMED).find(([, [low, high]]) => low === bounds[0] && high === bounds[1]);
  if (named !== undefined) return {activation: named[0]};
  return {activation: 'clip', attrs: {clipMin: bounds[0], clipMax: bounds[1]}};
}

const clipOf = ({clipMin, clipMax}: NamedAttrMap): Bounds => [
  (clipMin as number | undefined) ?? NONE[0],
  (clipMax as number | undefined) ?? NONE[1],
];

function boundsOf({kernel, inputs, attrs}: Node): Bounds | undefined {
  const constant = scalarOf(inputs.a) ?? scalarOf(inputs.b);
  switch (kernel) {
    case 'Relu':
      return NAMED.relu;
    case 'Relu6':
      return NAMED.relu6;
    case 'ClipByValue':
      return [attrs.clipValueMin as number, attrs.clipValueMax as number];
    case 'Maximum':
      return constant === undefined ? undefined : [constant, NONE[1]];
    case 'Minimum':
      return constant === undefined ? undefined : [NONE[0], constant];
    default:
      return undefined;
  }
}

const ALONE: Readonly<Record<string, string>> = {Elu: 'elu', Sigmoid: 'sigmoid', Tanh: 'tanh'};

function otherFusion(node: Node, {activation, channelAxis, node: {output}}: Convolution): Fusion | undefined {
  const {kernel, inputs, attrs} = node;
  if (activation === 'relu6' && isSixth(factorOf(node)?.factor ?? 0)) {
    return {activation: 'hardsigmoid', attrs: {hardsigmoidAlpha: 1 / 6, hardsigmoidBeta: 0}};
  }
  if (activation !== 'linear') return undefined;
  if (kernel in ALONE) return {activation: ALONE[kernel]};
  if (kernel === 'LeakyRelu') return {activation: 'leakyrelu', attrs: {leakyreluAlpha: attrs.alpha}};
  const slope = inputs.alpha;
  if (kernel !== 'Prelu' || slope === undefined || !isPerChannel(slope, output.shape, channelAxis))
    return undefined;
  return {activation: 'prelu', slope};
}
