// optimizeModel where a model is unusual, or its callers are.
import {
  model as functional,
  initializers,
  input,
  type LayersModel,
  layers,
  type SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers';
import {type Im2winRegistration, registerIm2win} from '../../src/index.ts';
import {optimizeModel} from '../../src/optimize/index.ts';
import {freshWasm, tf} from '../tf.ts';
import {graphModel} from './graphModel.ts';
import {random} from './rewriting.ts';
import {expectSame, images, memory, valuesOf} from './values.ts';

let registration: Im2winRegistration;
beforeEach(async () => {
  await freshWasm();
  registration = await registerIm2win({numThreads: 1});
});
afterEach(() => registration.unregister());

const CONVOLUTION = {strides: [1, 1, 1, 1], dilations: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC'};

const small = () =>
  sequential({
    layers: [
      layers.conv2d({filters: 4, kernelSize: 3, padding: 'same', activation: 'relu', inputShape: [8, 9, 4]}),
    ],
  });

/** A layer that runs a model of its own. */
class Inner extends layers.Layer {
  static className = 'Inner';
  private readonly model: LayersModel;
  constructor(model: LayersModel) {
    super({});
    this.model = model;
  }
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [x] = [inputs].flat();
    return this.model.predict(x) as tf.Tensor;
  }
}

test.each([0, 1, 2])('a model that a layer of another runs, %d times before', async (runs) => {
  const inner = small();
  const x = input({shape: [8, 9, 4]});
  const y = layers.reLU().apply(new Inner(inner).apply(x)) as SymbolicTensor;
  const outer = functional({inputs: x, outputs: layers.add().apply([x, y]) as SymbolicTensor});
  const given = [images(1, 1), images(1, 2), images(2, 3)];
  const expected = given.map((one) => valuesOf(outer.predict(one) as tf.Tensor));
  await optimizeModel(inner);
  for (let run = 0; run < runs; ++run) for (const one of given) valuesOf(inner.predict(one) as tf.Tensor);
  const done = await optimizeModel(outer, {verify: given[2]});
  expect(done.reasons).toEqual([]);
  for (let pass = 0; pass < 2; ++pass) {
    given.forEach((one, i) => {
      expectSame(valuesOf(outer.predict(one) as tf.Tensor), expected[i]);
    });
  }
});

test('a model with a state runs as it was loaded', async () => {
  const make = () =>
    sequential({
      layers: [
        layers.simpleRNN({
          units: 2,
          stateful: true,
          batchInputShape: [1, 3, 2],
          kernelInitializer: 'ones',
          recurrentInitializer: 'ones',
        }),
      ],
    });
  const x = random([1, 3, 2]);
  const run = (model: LayersModel) => valuesOf(model.predict(x) as tf.Tensor);
  const plain = make();
  const expected = [run(plain), run(plain), run(plain)];
  expect(expected[1]).not.toEqual(expected[0]);
  const model = make();
  const values = [run(model)];
  const done = await optimizeModel(model);
  values.push(run(model), run(model));
  expect(values).toEqual(expected);
  expect(done.reasons).toEqual([expect.stringContaining('state')]);
  done.revert();
});

test('a call that fails leaves the next ones as they were', async () => {
  const model = small();
  const x = images();
  const expected = valuesOf(model.predict(x) as tf.Tensor);
  const done = await optimizeModel(model);
  const gone = images();
  gone.dispose();
  const before = memory();
  expect(() => model.predict(gone)).toThrow();
  expect(memory()).toEqual(before);
  expect(done.reasons).toEqual([]);
  expectSame(valuesOf(model.predict(x) as tf.Tensor), expected);
});

/** Adds its shape to an image, which each run makes a tensor of. */
const shifted = (other = {}) =>
  graphModel({x: [1, 8, 9, 4]}, {w: [3, 3, 4, 6], ...other}, [
    ['shape', 'Shape', ['x'], {}],
    ['sizes', 'Cast', ['shape'], {SrcT: 'DT_INT32', DstT: 'DT_FLOAT'}],
    ['sum', 'AddV2', ['x', 'sizes'], {}],
    ['conv', 'Conv2D', ['sum', 'w'], CONVOLUTION],
    ['relu', 'Relu', ['conv'], {}],
  ]);

test('an input and a weight that are outputs are not disposed of', async () => {
  const model = await shifted({anchors: [5, 4]});
  const x = images();
  const names = ['relu', 'anchors', 'x'];
  const run = () => {
    const outputs = model.execute({x}, names) as tf.Tensor[];
    const values = outputs.flatMap((tensor) => [...tensor.dataSync()]);
    outputs[0].dispose();
    return values;
  };
  const expected = run();
  const done = await optimizeModel(model, {verify: {x}});
  for (let pass = 0; pass < 3; ++pass) expectSame(run(), expected);
  expect(done.reasons).toEqual([]);
  expect([x.isDisposed, (model.weights.anchors as tf.Tensor[])[0].isDisposed]).toEqual([false, false]);
});

const kernelsOf = async (run: () => tf.Tensor | tf.Tensor[]) => {
  const {kernels} = await tf.profile(() => {
    tf.dispose(run());
    return tf.scalar(0);
  });
  return kernels.map(({name}) => name).filter((name) => !name.endsWith('__op'));
};

test('the first call after it runs what was recorded, however it is written', async () => {
  const x = images();
  const model = await shifted();
  await optimizeModel(model);
  for (const run of [
    () => model.predict(x),
    () => model.predict([x]),
    () => model.execute(x),
    () => model.execute({x}),
    () => model.execute({x}, 'relu'),
  ]) {
    const kernels = await kernelsOf(run as () => tf.Tensor);
    expect(kernels.filter((kernel) => /Conv2D|Relu/.test(kernel))).toEqual(['FusedConv2D']);
  }
  const other = small();
  await optimizeModel(other);
  expect(await kernelsOf(() => other.predict(x) as tf.Tensor)).toEqual(['FusedConv2D', 'Identity']);
});

test('what tfjs runs with a promise alone is left alone', async () => {
  const model = await graphModel({x: [1, 8, 9, 4]}, {w: [3, 3, 4, 6], zero: []}, [
    ['conv', 'Conv2D', ['x', 'w'], CONVOLUTION],
    ['mask', 'Greater', ['conv', 'zero'], {}],
    ['where', 'Where', ['mask'], {}],
  ]);
  const x = images();
  const expected = valuesOf((await model.executeAsync({x})) as tf.Tensor);
  const before = memory();
  const done = await optimizeModel(model, {verify: {x}});
  expect(done.reasons).toEqual(['its execute throws']);
  for (let pass = 0; pass < 2; ++pass) {
    expect(valuesOf((await model.executeAsync({x})) as tf.Tensor)).toEqual(expected);
  }
  expect(memory()).toEqual(before);
  done.revert();
  expect((await optimizeModel(model)).reasons).toEqual(['its execute throws']);
});

test('what draws random numbers of its input is left alone', async () => {
  class Draws extends layers.Layer {
    static className = 'Draws';
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      return tf.multinomial([inputs].flat()[0] as tf.Tensor2D, 64) as tf.Tensor;
    }
  }
  const model = sequential({layers: [layers.dense({units: 9, inputShape: [4]}), new Draws({})]});
  expect((await optimizeModel(model)).reasons).toEqual(['it draws random numbers']);
});

test('two models that share a layer, and a batch of another size', async () => {
  const shared = layers.conv2d({filters: 4, kernelSize: 3, padding: 'same'});
  const x = input({shape: [8, 9, 4]});
  const y = shared.apply(x) as SymbolicTensor;
  const models = [layers.reLU(), layers.activation({activation: 'tanh'})].map((layer) =>
    functional({inputs: x, outputs: layer.apply(y) as SymbolicTensor}),
  );
  const given = [images(2, 1), images(3, 2)];
  const expected = () => models.map((model) => given.map((one) => valuesOf(model.predict(one) as tf.Tensor)));
  const before = expected();
  const all = [];
  for (const model of models) all.push(await optimizeModel(model, {verify: given[0]}));
  const compare = (wanted: number[][][]) =>
    expected().forEach((own, i) => {
      own.forEach((values, j) => {
        expectSame(values, wanted[i][j]);
      });
    });
  compare(before);
  compare(before);
  // Freed with the first model is nothing that the second one needs.
  all[0].revert();
  compare(before);
  models[0].setWeights(models[0].getWeights().map((weight) => tf.mul(weight, 2)));
  all[1].revert();
  const after = expected();
  await optimizeModel(models[1]);
  compare(after);
});

test('many calls keep no memory, in a scope and outside', async () => {
  const model = small();
  const x = images();
  await optimizeModel(model);
  valuesOf(model.predict(x) as tf.Tensor);
  const before = memory();
  for (let run = 0; run < 50; ++run) {
    tf.tidy(() => model.predict(x) as tf.Tensor).dispose();
    tf.tidy(() => {
      model.predict(x);
    });
    const wrong = random([1, 8, 9, 5]);
    expect(() => model.predict(wrong)).toThrow();
    wrong.dispose();
  }
  expect(memory()).toEqual(before);
});

test('more shapes than are kept', async () => {
  const model = sequential({
    layers: [layers.conv2d({filters: 3, kernelSize: 3, inputShape: [null, null, 4], activation: 'sigmoid'})],
  });
  const given = Array.from({length: 20}, (_, i) => random([1, 5 + i, 6, 4], i));
  const expected = given.map((one) => valuesOf(model.predict(one) as tf.Tensor));
  await optimizeModel(model);
  for (let pass = 0; pass < 2; ++pass) {
    given.forEach((one, i) => {
      expectSame(valuesOf(model.predict(one) as tf.Tensor), expected[i]);
    });
  }
});

test('images of whole numbers', async () => {
  class ToFloat extends layers.Layer {
    static className = 'ToFloat';
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      return tf.div(tf.cast([inputs].flat()[0], 'float32'), 255);
    }
  }
  const x = input({shape: [8, 9, 4], dtype: 'int32'});
  const y = layers.conv2d({filters: 4, kernelSize: 3}).apply(new ToFloat({}).apply(x)) as SymbolicTensor;
  const model = functional({inputs: x, outputs: y});
  const whole = tf.cast(tf.mul(images(), 255), 'int32');
  const expected = [whole, tf.cast(whole, 'float32')].map((one) => valuesOf(model.predict(one) as tf.Tensor));
  await optimizeModel(model);
  for (let pass = 0; pass < 2; ++pass) {
    [whole, tf.cast(whole, 'float32')].forEach((one, i) => {
      expectSame(valuesOf(model.predict(one) as tf.Tensor), expected[i]);
    });
  }
});

test('a product of matrices is not fused into what tfjs would misread', async () => {
  const make = () =>
    graphModel({x: [64, 50]}, {w: [50, 96], b: [96]}, [
      ['product', 'MatMul', ['x', 'w'], {transpose_a: false, transpose_b: false}],
      ['sum', 'BiasAdd', ['product', 'b'], {data_format: 'NHWC'}],
      ['relu', 'Relu', ['sum'], {}],
    ]);
  const x = random([64, 50]);
  const expected = valuesOf((await make()).predict(x) as tf.Tensor);
  registration.unregister();
  for (const kernels of ['convolutions', 'all'] as const) {
    registration = await registerIm2win({numThreads: 1, kernels});
    const model = await make();
    const done = await optimizeModel(model);
    for (const algorithm of ['auto', 'stock'] as const) {
      registration.setAlgorithm(algorithm);
      const others = Array.from({length: 30}, (_, i) => tf.fill([100 * i + 1], i));
      expectSame(valuesOf(model.predict(x) as tf.Tensor), expected);
      others.forEach((other, i) => {
        expect(other.dataSync().every((value) => value === i)).toBe(true);
        other.dispose();
      });
    }
    expect(done.reasons).toEqual([]);
    model.dispose();
    registration.unregister();
  }
  registration = await registerIm2win({numThreads: 1});
});

/** Multiplies by a weight whose value it reads. */
class Reading extends layers.Layer {
  static className = 'Reading';
  override build(): void {
    this.addWeight('factor', [1], 'float32', initializers.ones());
  }
  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const [factor] = this.getWeights()[0].dataSync();
    return tf.mul([inputs].flat()[0], factor);
  }
}

test('a layer that reads a weight sees the one that is set', async () => {
  const x = input({shape: [8, 9, 4]});
  const layer = new Reading({});
  const model = functional({inputs: x, outputs: layers.reLU().apply(layer.apply(x)) as SymbolicTensor});
  const given = images();
  await optimizeModel(model);
  for (const factor of [1, 5, 3]) {
    layer.setWeights([tf.tensor1d([factor])]);
    const expected = valuesOf(tf.relu(tf.mul(given, factor)));
    for (let pass = 0; pass < 3; ++pass) {
      expectSame(valuesOf(model.predict(given) as tf.Tensor), expected);
    }
  }
});

test('what was reverted before does not touch what was optimised since', async () => {
  const model = small();
  const first = await optimizeModel(model);
  first.revert();
  const second = await optimizeModel(model);
  first.revert();
  await expect(optimizeModel(model)).rejects.toThrow('optimised already');
  second.revert();
  (await optimizeModel(model)).revert();
});

test('reasons name more kinds of inputs than are recorded', async () => {
  const model = small();
  const done = await optimizeModel(model);
  for (let batch = 1; batch <= 18; ++batch) valuesOf(model.predict(images(batch)) as tf.Tensor);
  expect(done.reasons).toEqual([expect.stringContaining('more than 16')]);
});
