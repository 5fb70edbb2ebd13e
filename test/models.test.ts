// Whole models, loaded by tfjs's own loaders: the plugin's answer is stock's.
import {loadGraphModel} from '@tensorflow/tfjs-converter';
import * as layers from '@tensorflow/tfjs-layers';
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {floats, freshWasm, size, tf} from './tf.ts';

let registration: Im2winRegistration;

beforeAll(async () => {
  await freshWasm();
  registration = await registerIm2win();
});
afterAll(() => registration.unregister());

/** Runs a model by stock and by im2win; sums of a few hundred floats, a few layers deep. */
function expectSame(predict: () => tf.Tensor, kernelNames: string[]): void {
  registration.setAlgorithm('stock');
  const expected = predict().dataSync<'float32'>();
  registration.setAlgorithm('im2win');
  const values = predict().dataSync<'float32'>();
  const scale = Math.max(...expected.map(Math.abs));
  expect(scale).toBeGreaterThan(0);
  expect(values.length).toBe(expected.length);
  for (let i = 0; i < values.length; ++i)
    expect(Math.abs(values[i] - expected[i])).toBeLessThan(1e-5 * scale);
  const taken = registration.report().filter(({algorithm}) => algorithm === 'im2win');
  expect([...new Set(taken.map(({kernelName}) => kernelName))].sort()).toEqual(kernelNames);
}

test('a layers model', async () => {
  const model = layers.sequential({
    layers: [
      layers.layers.conv2d({
        inputShape: [20, 21, 3],
        filters: 12,
        kernelSize: 3,
        padding: 'same',
        activation: 'relu',
      }),
      layers.layers.conv2d({filters: 10, kernelSize: [1, 5], strides: [1, 2]}),
      layers.layers.maxPooling2d({poolSize: 2}),
      layers.layers.conv2d({filters: 9, kernelSize: 1, activation: 'sigmoid'}),
      layers.layers.conv2d({filters: 5, kernelSize: 3, dilationRate: 2, padding: 'same', activation: 'elu'}),
      layers.layers.flatten(),
      layers.layers.dense({units: 4}),
    ],
  });
  // Through the saved form, as an app loads it.
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
    }),
  );
  const loaded = await layers.loadLayersModel(tf.io.fromMemory(saved as tf.io.ModelArtifacts));
  const x = tf.tensor4d(floats(2 * 20 * 21 * 3, 1), [2, 20, 21, 3]);
  expectSame(() => loaded.predict(x) as tf.Tensor, ['FusedConv2D']);
});

test('a graph model', async () => {
  const text = (value: string) => Buffer.from(value).toString('base64');
  const float = {type: 'DT_FLOAT'};
  const weights: Record<string, number[]> = {
    w1: [3, 3, 3, 8],
    w2: [3, 3, 8, 6],
    b2: [6],
    w3: [1, 1, 6, 5],
    b3: [5],
  };
  const convolution = (strides: number, padding: string) => ({
    T: float,
    strides: {list: {i: [1, strides, strides, 1].map(String)}},
    dilations: {list: {i: ['1', '1', '1', '1']}},
    padding: {s: text(padding)},
    data_format: {s: text('NHWC')},
  });
  const fused = (...ops: string[]) => ({
    fused_ops: {list: {s: ops.map(text)}},
    num_args: {i: '1'},
    epsilon: {f: 0},
  });
  const model = await loadGraphModel(
    tf.io.fromMemory({
      format: 'graph-model',
      modelTopology: {
        node: [
          {
            name: 'x',
            op: 'Placeholder',
            attr: {dtype: float, shape: {shape: {dim: [2, 15, 16, 3].map((d) => ({size: String(d)}))}}},
          },
          ...Object.entries(weights).map(([name, shape]) => ({
            name,
            op: 'Const',
            attr: {
              dtype: float,
              value: {tensor: {dtype: 'DT_FLOAT', tensorShape: {dim: shape.map((d) => ({size: String(d)}))}}},
            },
          })),
          {name: 'conv1', op: 'Conv2D', input: ['x', 'w1'], attr: convolution(2, 'SAME')},
          {
            name: 'conv2',
            op: '_FusedConv2D',
            input: ['conv1', 'w2', 'b2'],
            attr: {...convolution(1, 'VALID'), ...fused('BiasAdd', 'Relu6')},
          },
          {
            name: 'conv3',
            op: '_FusedConv2D',
            input: ['conv2', 'w3', 'b3'],
            attr: {...convolution(1, 'SAME'), ...fused('BiasAdd')},
          },
        ],
        library: {},
        versions: {producer: 1},
      },
      weightSpecs: Object.entries(weights).map(([name, shape]) => ({name, shape, dtype: 'float32' as const})),
      weightData: Float32Array.from(
        Object.values(weights).flatMap((shape, i) => [...floats(size(shape), i + 2)]),
      ).buffer,
    }),
  );
  const x = tf.tensor4d(floats(2 * 15 * 16 * 3, 1), [2, 15, 16, 3]);
  expectSame(() => model.execute({x}) as tf.Tensor, ['Conv2D', 'FusedConv2D']);
});
