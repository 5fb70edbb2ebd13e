import type {Node, Value} from '../graph.ts';
import type {Pattern} from '../pattern.ts';

/** Kernels that make of a tensor the same tensor. */
export const copies: Pattern = {
  name: 'copies left out',
  apply(node, {graph}) {
    const x = copied(node);
    if (x === undefined || x.constant !== undefined) return undefined;
    graph.bypass(node, x);
    return {was: [node.kernel]};
  },
};

function copied({kernel, inputs, isList, attrs, outputs}: Node): Value | undefined {
  if (outputs.length !== 1) return undefined;
  const [output] = outputs;
  const values = Object.values(inputs);
  const [x] = values;
  const isSame = values.length === 1 && x.dtype === output.dtype && x.shape.join() === output.shape.join();
  if (!isSame) return undefined;
  switch (kernel) {
    case 'Identity':
    case 'Cast':
    case 'Reshape':
    case 'Slice':
      return x;
    case 'Concat':
      return isList ? x : undefined;
    case 'Transpose':
      return (attrs.perm as number[]).every((axis, i) => axis === i) ? x : undefined;
    case 'PadV2':
      return (attrs.paddings as unknown as number[][]).flat().every((size) => size === 0) ? x : undefined;
    default:
      return undefined;
  }
}
