import {scalarOf} from '../constants.ts';
import {convolutionOf, fuse} from '../convolution.ts';
import {factorOf, isSixth, strip} from '../factors.ts';
import type {Graph, Node, Value} from '../graph.ts';
import type {Pattern} from '../pattern.ts';

/** x · relu6(x + 3) / 6, with the sixth anywhere, as the converter writes hard-swish. */
export const hardSwish: Pattern = {
  name: 'hard-swish into the convolution',
  apply(node, context) {
    const {graph} = context;
    const outer = factorOf(node);
    const product = outer === undefined ? node : outer.x.producer;
    if (product?.kernel !== 'Multiply') return undefined;
    if (outer !== undefined && graph.onlyConsumer(outer.x) !== node) return undefined;
    const {a, b} = product.inputs;
    for (const [x, gate] of [
      [a, b],
      [b, a],
    ]) {
      const {x: relu6, factor} = strip(gate, product, graph);
      if (!isSixth(factor * (outer?.factor ?? 1)) || !isGate(relu6, x, graph)) continue;
      const convolution = convolutionOf(x.producer);
      const isOwn = x.consumers.size === 2 && !graph.outputs.includes(x);
      if (convolution?.activation !== 'linear' || !isOwn) continue;
      const own = fuse(convolution, node, {activation: 'hardswish'}, context);
      if (own !== undefined) return {was: [convolution.node.kernel, 'Add', 'Relu6', 'Multiply'], node: own};
    }
    return undefined;
  },
};

/** Whether a value is relu6(x + 3), which one node takes. */
function isGate({producer, consumers}: Value, x: Value, graph: Graph): boolean {
  if (producer === undefined || consumers.size !== 1 || graph.outputs.includes(producer.output)) return false;
  if (producer.kernel !== 'Relu6' && !isClip(producer)) return false;
  const sum = producer.inputs.x;
  if (sum.producer?.kernel !== 'Add' || graph.onlyConsumer(sum) !== producer) return false;
  const {a, b} = sum.producer.inputs;
  return (a === x && scalarOf(b) === 3) || (b === x && scalarOf(a) === 3);
}

const isClip = ({kernel, attrs}: Node) =>
  kernel === 'ClipByValue' && attrs.clipValueMin === 0 && attrs.clipValueMax === 6;
