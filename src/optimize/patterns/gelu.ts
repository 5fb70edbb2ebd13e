import {scalarOf} from '../constants.ts';
import {convolutionOf, fuse} from '../convolution.ts';
import {factorOf} from '../factors.ts';
import type {Graph, Node, Value} from '../graph.ts';
import type {Pattern} from '../pattern.ts';

/** x · (1 + erf(x / √2)) / 2, or x · (1 + tanh(√(2 / π) · (x + 0.044715 x³))) / 2, in whichever order it is multiplied. */
export const gelu: Pattern = {
  name: 'GELU into the convolution',
  apply(node, context) {
    const nodes = new Set<Node>();
    const {factor, values} = product(node.output, nodes);
    if (nodes.size === 0 || values.length !== 2 || !isNear(factor, 0.5)) return undefined;
    for (const [x, gate] of [values, [...values].reverse()]) {
      const convolution = convolutionOf(x.producer);
      const activation = activationOf(gate, x, nodes);
      if (convolution?.activation !== 'linear' || activation === undefined) continue;
      if (
        ![x, ...[...nodes].map(({output}) => output)].every((value) =>
          isInside(value, node, nodes, context.graph),
        )
      )
        continue;
      const own = fuse(convolution, node, {activation}, context);
      if (own !== undefined)
        return {was: [convolution.node.kernel, ...[...nodes].map(({kernel}) => kernel)], node: own};
    }
    return undefined;
  },
};

const isNear = (value: number, other: number) => Math.abs(value - other) < 1e-5 * other;

/** What a value is a product of, and the nodes that multiply. */
function product(
  value: Value,
  nodes: Set<Node>,
): {readonly factor: number; readonly values: readonly Value[]} {
  const {producer} = value;
  const scaled = producer && factorOf(producer);
  const isProduct = scaled !== undefined || producer?.kernel === 'Multiply';
  if (producer === undefined || !isProduct) return {factor: 1, values: [value]};
  nodes.add(producer);
  const {a, b} = producer.inputs;
  const parts = (scaled === undefined ? [a, b] : [scaled.x]).map((one) => product(one, nodes));
  return {
    factor: parts.reduce((all, part) => all * part.factor, scaled?.factor ?? 1),
    values: parts.flatMap((part) => part.values),
  };
}

/** The other one of what is added to a value that `is` tells. */
function addend(value: Value, is: (value: Value) => boolean, nodes: Set<Node>): Value | undefined {
  const {producer} = value;
  if (producer?.kernel !== 'Add') return undefined;
  nodes.add(producer);
  const {a, b} = producer.inputs;
  return is(a) ? b : is(b) ? a : undefined;
}

function activationOf(gate: Value, x: Value, nodes: Set<Node>): 'gelu' | 'gelu_new' | undefined {
  const last = addend(gate, (value) => scalarOf(value) === 1, nodes)?.producer;
  if (last?.kernel !== 'Erf' && last?.kernel !== 'Tanh') return undefined;
  nodes.add(last);
  const {factor, values} = product(last.inputs.x, nodes);
  if (values.length !== 1) return undefined;
  if (last.kernel === 'Erf') return values[0] === x && isNear(factor, Math.SQRT1_2) ? 'gelu' : undefined;
  const cubic = addend(values[0], (value) => value === x, nodes);
  return cubic !== undefined && isCube(cubic, x, nodes) && isNear(factor, Math.sqrt(2 / Math.PI))
    ? 'gelu_new'
    : undefined;
}

function isCube(value: Value, x: Value, nodes: Set<Node>): boolean {
  const {factor, values} = product(value, nodes);
  if (!isNear(factor, 0.044715)) return false;
  const [{producer}] = values;
  if (values.length !== 1 || producer?.kernel !== 'Pow')
    return values.length === 3 && values.every((one) => one === x);
  nodes.add(producer);
  return producer.inputs.a === x && scalarOf(producer.inputs.b) === 3;
}

/** Whether nobody else takes a value. */
const isInside = (value: Value, last: Node, nodes: ReadonlySet<Node>, graph: Graph) =>
  value === last.output ||
  (!graph.outputs.includes(value) && [...value.consumers].every((one) => nodes.has(one)));
