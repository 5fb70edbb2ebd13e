// A node with its axes in another order.
import type {NamedAttrMap} from '@tensorflow/tfjs-core';
import type {Constants} from './constants.ts';
import type {Node, NodeInputs, NodeParts, Value} from './graph.ts';

const ELEMENTWISE: ReadonlySet<string> = new Set([
  ...[
    'Relu',
    'Relu6',
    'LeakyRelu',
    'Prelu',
    'Elu',
    'Selu',
    'Sigmoid',
    'Tanh',
    'ClipByValue',
    'Softplus',
    'Erf',
  ],
  ...['Exp', 'Log', 'Sqrt', 'Rsqrt', 'Square', 'Neg', 'Abs', 'Reciprocal', 'Cast', 'Identity'],
  ...['Add', 'AddN', 'Sub', 'Multiply', 'RealDiv', 'Maximum', 'Minimum', 'SquaredDifference', 'Pow'],
]);
const ALONG_AXES: ReadonlySet<string> = new Set([
  'Concat',
  'SplitV',
  'Slice',
  'PadV2',
  'MirrorPad',
  'Mean',
  'Sum',
]);

/** Whether the order of a node's axes may be another one. */
export const isSortable = ({kernel}: Node) => ELEMENTWISE.has(kernel) || ALONG_AXES.has(kernel);

/** @param places Where each axis of a tensor comes to lie. */
export const sorted = (shape: readonly number[], places: readonly number[]) => {
  const result: number[] = [];
  places.forEach((place, axis) => {
    result[place] = shape[axis];
  });
  return result;
};

export const inverse = (perm: readonly number[]) => perm.map((_, axis) => perm.indexOf(axis));

/**
 * A node that computes the same of tensors whose axes are in another order, or `undefined` if there is none.
 *
 * @param places Where each axis of its tensors comes to lie.
 * @param operand What a tensor of each run becomes.
 * @returns All but its outputs.
 */
export function inOrder(
  node: Node,
  places: readonly number[],
  operand: (value: Value) => Value | undefined,
  constants: Constants,
): Omit<NodeParts, 'outputs'> | undefined {
  const {kernel, isList} = node;
  const attrs = attrsInOrder(node, places);
  if (!isSortable(node) || attrs === undefined) return undefined;
  const inputs: Record<string, Value> = {};
  for (const [name, value] of Object.entries(node.inputs)) {
    const own = value.constant === undefined ? operand(value) : constantInOrder(value, places, constants);
    if (own === undefined) return undefined;
    inputs[name] = own;
  }
  return {kernel, inputs: inputs as NodeInputs, attrs, isList};
}

function attrsInOrder({kernel, attrs}: Node, places: readonly number[]): NamedAttrMap | undefined {
  if (ELEMENTWISE.has(kernel)) return attrs;
  const lists = ['paddings', 'begin', 'size'].filter((name) => attrs[name] !== undefined);
  if (lists.length > 0) {
    const own = lists.map((name) => [name, sorted(attrs[name] as number[], places)]);
    return {...attrs, ...Object.fromEntries(own)};
  }
  const axes = axesOf(attrs, places.length);
  if (axes === undefined) return undefined;
  const own = axes.map((axis) => places[axis]);
  return {...attrs, axis: Array.isArray(attrs.axis) ? own : own[0]};
}

function axesOf({axis}: NamedAttrMap, rank: number): number[] | undefined {
  if (axis === undefined) return undefined;
  return [axis as number | number[]].flat().map((one) => (one < 0 ? one + rank : one));
}

/** Of a reduction that drops axes: whether those that are left lie in the same order. */
export function keepsOrder({attrs}: Node, places: readonly number[]): boolean {
  const gone = axesOf(attrs, places.length);
  const left = places.filter((_, axis) => !gone?.includes(axis));
  return left.every((place, i) => i === 0 || place > left[i - 1]);
}

/** Of constants those that vary along one axis, so that their values stay in order. */
function constantInOrder(value: Value, places: readonly number[], constants: Constants): Value | undefined {
  if (value.shape.every((size) => size === 1)) return value.shape.length <= places.length ? value : undefined;
  const missing = places.length - value.shape.length;
  const shape = [...Array<number>(Math.max(missing, 0)).fill(1), ...value.shape];
  const isAlongOne = shape.filter((size) => size !== 1).length === 1;
  if (missing < 0 || !isAlongOne || value.dtype !== 'float32') return undefined;
  return constants.get('in another order', [value], sorted(shape, places), (values) => values);
}
