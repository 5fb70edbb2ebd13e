import {inOrder, inverse, isSortable, keepsOrder, sorted} from '../axes.ts';
import {type Graph, type Node, type NodeParts, Value} from '../graph.ts';
import type {Pattern, PatternContext} from '../pattern.ts';

const permOf = ({kernel, attrs}: Node) => (kernel === 'Transpose' ? (attrs.perm as number[]) : undefined);

/**
 * What acts upon values, or along axes, acts upon them before a transpose as well: transposes move towards the outputs, until
 * they meet those that undo them. Networks of channels first, as PyTorch's are converted, have them around each convolution.
 */
export const transposesBehind: Pattern = {
  name: 'transposes moved behind',
  apply(node, {graph, constants}) {
    if (!isSortable(node)) return undefined;
    const given = Object.values(node.inputs).filter(({constant}) => constant === undefined);
    const perm = given[0]?.producer && permOf(given[0].producer);
    if (perm === undefined || given.some((value) => !canMove(value, perm, graph))) return undefined;
    const parts = inOrder(node, perm, ({producer}) => producer?.inputs.x, constants);
    if (parts === undefined) return undefined;
    if (node.attrs.keepDims === false) {
      return keepsOrder(node, perm)
        ? {was: ['Transpose', node.kernel], node: graph.replace(node, parts)}
        : undefined;
    }
    const inner = node.outputs.map(({shape, dtype}) => new Value(sorted(shape, perm), dtype));
    graph.insert(node, {...parts, outputs: inner});
    const [now] = node.outputs.map((output, i) =>
      graph.insert(node, {kernel: 'Transpose', inputs: {x: inner[i]}, attrs: {perm}, outputs: [output]}),
    );
    graph.drop(node);
    return {was: ['Transpose', node.kernel], node: now};
  },
};

/** Whether a value is made by a transpose that may go: all who take it can take it before, or undo it. */
function canMove({producer, consumers, shape}: Value, perm: readonly number[], graph: Graph): boolean {
  if (producer === undefined || permOf(producer)?.join() !== perm.join()) return false;
  // Behind a model's input it is made in any case, and there may be something to move to it.
  if (producer.inputs.x.producer === undefined || graph.outputs.includes(producer.output)) return false;
  const back = inverse(perm).join();
  return (
    shape.length === perm.length &&
    [...consumers].every((one) => isSortable(one) || permOf(one)?.join() === back)
  );
}

/** A transpose behind what acts upon a model's input moves to the input: what is between becomes a part of a convolution. */
export const transposesBefore: Pattern = {
  name: 'transposes moved to the input',
  apply(node, context) {
    const {graph} = context;
    const perm = permOf(node);
    const before = node.inputs.x?.producer;
    if (perm === undefined || before === undefined || graph.onlyConsumer(before.output) !== node) {
      return undefined;
    }
    const found = ofInput(before, inverse(perm), context);
    if (found === undefined) return undefined;
    const {source, parts} = found;
    const turned = new Value(
      perm.map((axis) => source.shape[axis]),
      source.dtype,
    );
    graph.insert(node, {kernel: 'Transpose', inputs: {x: source}, attrs: {perm}, outputs: [turned]});
    const inputs = Object.entries(parts.inputs).map(([name, value]) => [
      name,
      value === source ? turned : value,
    ]);
    const now = graph.replace(node, {...parts, inputs: Object.fromEntries(inputs)});
    return {was: [before.kernel, 'Transpose'], node: now};
  },
};

/** A node in another order, if it acts upon a model's input, or upon what such nodes make for it alone. */
function ofInput(
  node: Node,
  places: readonly number[],
  context: PatternContext,
): {readonly source: Value; readonly parts: Omit<NodeParts, 'outputs'>} | undefined {
  const [source, other] = Object.values(node.inputs).filter(({constant}) => constant === undefined);
  if (other !== undefined || source.shape.length !== places.length || node.outputs.length !== 1)
    return undefined;
  const parts = inOrder(node, places, (value) => value, context.constants);
  const {producer} = source;
  // A transpose that got stuck halfway would move back again.
  const isFree =
    producer === undefined ||
    (context.graph.onlyConsumer(source) === node && ofInput(producer, places, context) !== undefined);
  return parts !== undefined && isFree ? {source, parts} : undefined;
}
