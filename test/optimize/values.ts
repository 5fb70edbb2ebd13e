// Inputs and outputs of the models that are optimised.
import {tf} from '../tf.ts';
import {random} from './rewriting.ts';

export const images = (count = 1, seed = 1) => random([count, 8, 9, 4], seed);

/** Of outputs, which are disposed of. */
export function valuesOf(outputs: tf.Tensor | tf.Tensor[]): number[] {
  const list = [outputs].flat();
  const values = list.flatMap((tensor) => [...tensor.dataSync()]);
  tf.dispose(list);
  return values;
}

/** Within what `optimizeModel` allows. */
export function expectSame(values: readonly number[], expected: readonly number[]): void {
  expect(values).toHaveLength(expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  const difference = Math.max(...values.map((value, i) => Math.abs(value - expected[i])));
  expect(difference).toBeLessThanOrEqual(1e-5 * largest);
}

export const memory = () => ({numTensors: tf.memory().numTensors, dataIds: tf.engine().backend.numDataIds()});
