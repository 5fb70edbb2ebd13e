// What optimizeModel takes when it is called: runs of the model, and memory.
import {
  input,
  type LayersModel,
  layers,
  model,
  type SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers';
import {type Im2winRegistration, registerIm2win} from '../../src/index.ts';
import {optimizeModel} from '../../src/optimize/index.ts';
import {freshWasm, tf} from '../tf.ts';
import {graphModel} from './graphModel.ts';
import {expectSame, images, memory, valuesOf} from './values.ts';

let registration: Im2winRegistration;
beforeEach(async () => {
  await freshWasm();
  registration = await registerIm2win({numThreads: 1});
});
afterEach(() => registration.unregister());

/** Counts its runs. */
class Counter extends layers.Layer {
  static className = 'Counter';
  runs = 0;
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    ++this.runs;
    return tf.relu([inputs].flat()[0]);
  }
}

// tfjs-layers reshapes the weights of such a dense layer, and the bias of a transposed convolution, in each run.
test.each([
  ['dense', () => layers.dense({units: 3, biasInitializer: 'randomUniform'})],
  ['transposed', () => layers.conv2dTranspose({filters: 3, kernelSize: 2, biasInitializer: 'randomUniform'})],
])('a model that reshapes its weights is recorded in one run: %s', async (_, layer) => {
  const counter = new Counter({});
  const x = input({shape: [8, 9, 4]});
  const own = model({inputs: x, outputs: layer().apply(counter.apply(x)) as SymbolicTensor});
  const image = images();
  const expected = valuesOf(own.predict(image) as tf.Tensor);
  const before = memory();
  counter.runs = 0;
  const done = await optimizeModel(own);
  expect([counter.runs, done.reasons]).toEqual([1, []]);
  expectSame(valuesOf(own.predict(image) as tf.Tensor), expected);
  expect(counter.runs).toBe(1);
  // One that is set is seen.
  own.setWeights(own.getWeights().map((weight) => tf.mul(weight, 2)));
  const other = valuesOf(own.predict(image) as tf.Tensor);
  expectSame(
    other,
    expected.map((value) => 2 * value),
  );
  done.revert();
  expect(memory().dataIds - before.dataIds).toBe(0);
});

const normalized = (): LayersModel =>
  sequential({
    layers: [
      layers.conv2d({filters: 8, kernelSize: 3, useBias: false, inputShape: [8, 9, 4]}),
      layers.batchNormalization({gammaInitializer: 'randomUniform'}),
    ],
  });

test('packings of filters that were folded are given back', async () => {
  const image = images();
  const own = normalized();
  const expected = valuesOf(own.predict(image) as tf.Tensor);
  const {filterBytes} = registration.memory();
  expect(filterBytes).toBeGreaterThan(0);
  const [filter] = own.getWeights();
  const values = filter.dataSync();
  const done = await optimizeModel(own);
  expect(registration.memory().filterBytes).toBe(0);
  expect(filter.dataSync()).toEqual(values);
  for (let pass = 0; pass < 2; ++pass) expectSame(valuesOf(own.predict(image) as tf.Tensor), expected);
  expect(registration.memory().filterBytes).toBe(filterBytes);
  done.revert();
  expect(valuesOf(own.predict(image) as tf.Tensor)).toEqual(expected);
  expect(registration.memory().filterBytes).toBe(filterBytes);
});

test('a sum before a convolution becomes its bias, and the filter stays the only one', async () => {
  const CONVOLUTION = {strides: [1, 1, 1, 1], dilations: [1, 1, 1, 1], padding: 'VALID', data_format: 'NHWC'};
  const own = await graphModel({x: [1, 8, 9, 4]}, {w: [3, 3, 4, 6], mean: [4]}, [
    ['centred', 'Sub', ['x', 'mean'], {}],
    ['conv', 'Conv2D', ['centred', 'w'], CONVOLUTION],
  ]);
  const image = images();
  const expected = valuesOf(own.execute({x: image}) as tf.Tensor);
  const before = memory();
  const done = await optimizeModel(own);
  expect(done.changes.map(({was, now}) => `${was}: ${now}`)).toEqual(['Sub → Conv2D: FusedConv2D']);
  expectSame(valuesOf(own.execute({x: image}) as tf.Tensor), expected);
  expect(memory().numTensors - before.numTensors).toBe(1);
});

test("tfjs's engine gets no properties, of which V8 would make it slow when they go", async () => {
  const engine = tf.engine();
  const {runKernel, readSync, read} = engine;
  const own = Object.keys(engine);
  const seen: string[][] = [];
  class Looker extends Counter {
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      seen.push(Object.keys(engine));
      return super.call(inputs);
    }
  }
  const network = sequential({layers: [new Looker({inputShape: [8, 9, 4]})]});
  const done = await optimizeModel(network, {verify: images()});
  expect(seen.length).toBeGreaterThan(0);
  for (const keys of seen) expect(keys).toEqual(own);
  expect(engine.runKernel).toBe(runKernel);
  expect(engine.readSync).toBe(readSync);
  expect(engine.read).toBe(read);
  done.revert();
  network.dispose();
});
