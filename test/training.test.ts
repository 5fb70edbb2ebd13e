// Training on wasm: a residual network with batch norms learns what it learns on tfjs's cpu backend.
import {initializers, type LayersModel, layers, sequential} from '@tensorflow/tfjs-layers';
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

/** A max pooling of values of both signs, whose gradient tfjs's wasm kernel loses in part. */
function makePooled(): LayersModel {
  const model = sequential({
    layers: [
      layers.conv2d({
        inputShape: [28, 28, 1],
        filters: 6,
        kernelSize: 3,
        padding: 'same',
        kernelInitializer: small(),
      }),
      layers.batchNormalization(),
      layers.maxPooling2d({poolSize: 3, strides: 2}),
      layers.flatten(),
      layers.dense({units: 10, activation: 'softmax', kernelInitializer: small()}),
    ],
  });
  model.compile({optimizer: tf.train.sgd(0.1), loss: 'categoricalCrossentropy'});
  return model;
}

const small = () => initializers.randomUniform({minval: -0.2, maxval: 0.2, seed: 5});

test('a network with max pooling behind a batch norm trains on wasm as on cpu', async () => {
  await freshBackend('cpu');
  const expected = await train(makePooled(), 2);
  await freshBackend('wasm');
  tf.env().set('IS_TEST', false);
  registration = await registerIm2win({backends: ['wasm'], numThreads: 1});
  const {weights} = await train(makePooled(), 2);
  const all = expected.weights.flat();
  const largest = Math.max(...all.map(Math.abs));
  const errors = weights.flat().map((weight, i) => Math.abs(weight - all[i]));
  expect(Math.max(...errors)).toBeLessThan(1e-4 * largest);
  const kernels = registration.report({all: true}).filter(({algorithm}) => algorithm !== 'stock');
  expect(kernels.map(({kernelName}) => kernelName)).toContain('MaxPoolGrad');
});
