// A function of tensors, traced, rewritten and run.
import {Constants} from '../../src/optimize/constants.ts';
import type {Graph} from '../../src/optimize/graph.ts';
import {PATTERNS} from '../../src/optimize/patterns/index.ts';
import {Program} from '../../src/optimize/program.ts';
import {type ModelChange, rewrite} from '../../src/optimize/rewrite.ts';
import {trace} from '../../src/optimize/trace.ts';
import {floats, size, tf} from '../tf.ts';

export interface Rewritten {
  /** The kernels that are called, before and after. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly changes: readonly ModelChange[];
  /** Of the outputs, as a part of the largest value; NaN where a shape or dtype differs. */
  readonly difference: number;
}

export const random = (shape: readonly number[], seed = 1): tf.Tensor =>
  tf.tensor(floats(size(shape), seed), [...shape]);

/** Weights that vary about 1, as variances do. */
export const positive = (shape: readonly number[], seed = 1): tf.Tensor =>
  tf.add(tf.mul(random(shape, seed), 0.5), 1);

type Model = (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/** @param inputs What varies from run to run. Every other tensor is a weight. */
export function rewritten(inputs: readonly tf.Tensor[], model: Model): Rewritten {
  const run = () => [tf.tidy(() => model(...inputs))].flat();
  const {graph, outputs} = trace(inputs, run, () => undefined);
  if (typeof graph === 'string') throw new Error(graph);
  const kernels = ({nodes}: Graph) =>
    nodes.map(({kernel, attrs: {activation = 'linear'}}) =>
      activation === 'linear' ? kernel : `${kernel} ${activation}`,
    );
  const before = kernels(graph);
  const {backendName} = tf.engine();
  const has = (kernel: string) => tf.getKernel(kernel, backendName) !== undefined;
  const changes = rewrite(graph, PATTERNS, {graph, constants: new Constants(), has});
  const program = new Program(graph, backendName);
  // A second run finds what the first one has left behind.
  tf.dispose(program.run(inputs));
  const differences = program.run(inputs).map((tensor, i) => difference(tensor, outputs[i]));
  return {before, after: kernels(graph), changes, difference: Math.max(...differences)};
}

function difference(tensor: tf.Tensor, expected: tf.Tensor): number {
  if (String(tensor.shape) !== String(expected.shape) || tensor.dtype !== expected.dtype) return Number.NaN;
  const values = tensor.dataSync();
  let largest = 0;
  let most = 0;
  expected.dataSync().forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value));
    most = Math.max(most, Math.abs(value - values[i]));
  });
  return largest === 0 ? most : most / largest;
}
