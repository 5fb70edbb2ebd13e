// A small graph model, as tfjs's converter would write it.
import {type GraphModel, loadGraphModel} from '@tensorflow/tfjs-converter';
import {floats, size, tf} from '../tf.ts';

type Attribute = string | readonly number[] | boolean | number;
type GraphNode = readonly [
  name: string,
  op: string,
  inputs: readonly string[],
  attrs: Readonly<Record<string, Attribute>>,
];

const text = (value: string) => Buffer.from(value).toString('base64');
const dimensions = (shape: readonly number[]) => ({dim: shape.map((one) => ({size: String(one)}))});

function attribute(value: Attribute) {
  if (typeof value === 'string') return value.startsWith('DT_') ? {type: value} : {s: text(value)};
  if (typeof value === 'boolean') return {b: value};
  return typeof value === 'number' ? {f: value} : {list: {i: value.map(String)}};
}

/**
 * @param inputs Shapes by name.
 * @param weights The same: random values of them.
 */
export function graphModel(
  inputs: Readonly<Record<string, readonly number[]>>,
  weights: Readonly<Record<string, readonly number[]>>,
  nodes: readonly GraphNode[],
): Promise<GraphModel> {
  const float = {type: 'DT_FLOAT'};
  const node = [
    ...Object.entries(inputs).map(([name, shape]) => ({
      name,
      op: 'Placeholder',
      attr: {dtype: float, shape: {shape: dimensions(shape)}},
    })),
    ...Object.entries(weights).map(([name, shape]) => ({
      name,
      op: 'Const',
      attr: {dtype: float, value: {tensor: {dtype: 'DT_FLOAT', tensorShape: dimensions(shape)}}},
    })),
    ...nodes.map(([name, op, input, attrs]) => ({
      name,
      op,
      input: [...input],
      attr: {
        T: float,
        ...Object.fromEntries(Object.entries(attrs).map(([key, value]) => [key, attribute(value)])),
      },
    })),
  ];
  const shapes = Object.entries(weights);
  return loadGraphModel(
    tf.io.fromMemory({
      format: 'graph-model',
      modelTopology: {node, library: {}, versions: {producer: 1}},
      weightSpecs: shapes.map(([name, shape]) => ({name, shape: [...shape], dtype: 'float32' as const})),
      weightData: Float32Array.from(shapes.flatMap(([, shape], i) => [...floats(size(shape), i + 2)])).buffer,
    }),
  );
}
