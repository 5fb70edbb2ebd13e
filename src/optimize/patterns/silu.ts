import {convolutionOf, fuse} from '../convolution.ts';
import {strip} from '../factors.ts';
import type {Pattern} from '../pattern.ts';

/** The product of a convolution and its sigmoid, as the converter and tfjs-layers write SiLU. */
export const silu: Pattern = {
  name: 'SiLU into the convolution',
  apply(node, context) {
    if (node.kernel !== 'Multiply') return undefined;
    const {a, b} = node.inputs;
    for (const [x, gate] of [
      [a, b],
      [b, a],
    ]) {
      const sigmoid = gate.producer;
      if (sigmoid?.kernel !== 'Sigmoid') continue;
      // tfjs-layers multiplies by 1 first.
      const argument = strip(sigmoid.inputs.x, sigmoid, context.graph);
      if (argument.x !== x || argument.factor !== 1) continue;
      const convolution = convolutionOf(x.producer);
      if (convolution?.activation !== 'linear') continue;
      const isOwn = x.consumers.size === 2 && !context.graph.outputs.includes(x);
      if (!isOwn || context.graph.onlyConsumer(gate) !== node) continue;
      const own = fuse(convolution, node, {activation: 'silu'}, context);
      if (own !== undefined) return {was: [convolution.node.kernel, 'Sigmoid', 'Multiply'], node: own};
    }
    return undefined;
  },
};
