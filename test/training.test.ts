// Training on wasm: a residual network with batch norms learns what it learns on tfjs's cpu backend.
import type {LayersModel} from '@tensorflow/tfjs-layers';
import {makeNetwork} from '../examples/training/network.ts';
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {floats, freshBackend, tf} from './tf.ts';

const COUNT = 2;

/** The losses of some steps, and the weights after them. */
async function train(model: LayersModel, steps: number): Promise<{losses: number[]; weights: number[][]}> {
  const images = tf.tensor4d(floats(COUNT * 28 * 28, 1), [COUNT, 28, 28, 1]);
  const labels = tf.oneHot(tf.range(0, COUNT, 1, 'int32'), 10);
  const losses: number[] = [];
  for (let step = 0; step < steps; ++step) {
    const {history} = await model.fit(images, labels, {
      epochs: 1,
      batchSize: COUNT,
      shuffle: false,
      verbose: 0,
    });
    losses.push(history.loss[0] as number);
  }
  return {losses, weights: model.getWeights().map((weight) => [...weight.dataSync()])};
}

let registration: Im2winRegistration;
afterEach(() => {
  tf.env().set('IS_TEST', true);
  registration.unregister();
});

test('a residual network trains on wasm as on cpu', async () => {
  await freshBackend('cpu');
  const expected = await train(makeNetwork('residual'), 2);
  await freshBackend('wasm');
  // tfjs's check for leaks counts what a gradient keeps there.
  tf.env().set('IS_TEST', false);
  registration = await registerIm2win({backends: ['wasm'], numThreads: 1});
  const {losses, weights} = await train(makeNetwork('residual'), 2);
  expect(losses[1]).toBeLessThan(losses[0]);
  losses.forEach((loss, i) => {
    // Adam divides by the root of a gradient's square, which is all rounding where the gradient is zero.
    expect(Math.abs(loss - expected.losses[i])).toBeLessThan(1e-2 * expected.losses[i]);
  });
  expect(losses[0]).toBeCloseTo(expected.losses[0], 5);
  expect(weights.flat().every(Number.isFinite)).toBe(true);
  const kernels = registration.report().filter(({algorithm}) => algorithm !== 'stock');
  expect(kernels.map(({kernelName}) => kernelName)).toContain('Conv2DBackpropFilter');
});
