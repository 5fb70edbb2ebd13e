import {type Convolution, convolutionOf, fuse} from '../convolution.ts';
import type {Value} from '../graph.ts';
import type {Pattern} from '../pattern.ts';

/** The sum of a convolution and a tensor of its output's shape. */
export const residual: Pattern = {
  name: 'residual sum into the convolution',
  apply(node, context) {
    const {kernel, inputs, isList} = node;
    const values = Object.values(inputs);
    if (!(kernel === 'Add' || (kernel === 'AddN' && isList)) || values.length !== 2) return undefined;
    const [a, b] = values;
    const takes = (x: Value, other: Value): Convolution | undefined => {
      const convolution = convolutionOf(x.producer);
      const fits =
        other.constant === undefined &&
        other !== x &&
        other.dtype === 'float32' &&
        other.shape.join() === x.shape.join() &&
        convolution !== undefined &&
        convolution.residual === undefined &&
        context.graph.onlyConsumer(x) === node;
      return fits ? convolution : undefined;
    };
    // Of two convolutions the later one: the other is done by then.
    const order = (value: Value) => (value.producer ? context.graph.nodes.indexOf(value.producer) : -1);
    const pairs =
      order(a) > order(b)
        ? [
            [a, b],
            [b, a],
          ]
        : [
            [b, a],
            [a, b],
          ];
    for (const [x, other] of pairs) {
      const convolution = takes(x, other);
      if (convolution === undefined) continue;
      const after = convolution.activation !== 'linear';
      const own = fuse(
        convolution,
        node,
        {residual: other, attrs: after ? {residualAfterActivation: true} : {}},
        context,
      );
      if (own !== undefined) return {was: [convolution.node.kernel, kernel], node: own};
    }
    return undefined;
  },
};
