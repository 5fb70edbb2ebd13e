import {train} from '@tensorflow/tfjs-core';
import {
  initializers,
  input,
  type LayersModel,
  layers,
  model,
  type SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers';

/** For 28×28 digits. */
export const NETWORKS = {plain, residual};

export type NetworkName = keyof typeof NETWORKS;

export function makeNetwork(name: NetworkName): LayersModel {
  const network = NETWORKS[name]();
  network.compile({optimizer: train.adam(0.002), loss: 'categoricalCrossentropy', metrics: ['accuracy']});
  return network;
}

// Seeded, so that each run starts from the same weights.
const heNormal = (seed: number) => initializers.heNormal({seed});

/** A small CNN: two full convolutions, a separable one, a dense layer. */
function plain(): LayersModel {
  return sequential({
    layers: [
      layers.conv2d({
        inputShape: [28, 28, 1],
        filters: 16,
        kernelSize: 3,
        padding: 'same',
        activation: 'relu',
        kernelInitializer: heNormal(1),
      }),
      layers.conv2d({
        filters: 32,
        kernelSize: 5,
        strides: 2,
        padding: 'same',
        activation: 'relu',
        kernelInitializer: heNormal(2),
      }),
      layers.separableConv2d({
        filters: 64,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
        activation: 'relu',
        depthwiseInitializer: heNormal(3),
        pointwiseInitializer: heNormal(4),
      }),
      layers.flatten(),
      layers.dense({units: 10, activation: 'softmax', kernelInitializer: heNormal(5)}),
    ],
  });
}

/** A small residual network: batch norms behind its convolutions, a maximum pool, two blocks, a mean over the image. */
function residual(): LayersModel {
  let seed = 0;
  const normed = (x: SymbolicTensor, filters: number, kernelSize: number, strides = 1) => {
    const kernelInitializer = heNormal(++seed);
    const y = layers
      .conv2d({filters, kernelSize, strides, padding: 'same', useBias: false, kernelInitializer})
      .apply(x);
    return layers.batchNormalization({momentum: 0.9}).apply(y) as SymbolicTensor;
  };
  const relu = (x: SymbolicTensor) => layers.reLU().apply(x) as SymbolicTensor;
  const block = (x: SymbolicTensor, filters: number, strides: number) => {
    const y = normed(relu(normed(x, filters, 3, strides)), filters, 3);
    const shortcut = strides === 1 ? x : normed(x, filters, 1, strides);
    return relu(layers.add().apply([y, shortcut]) as SymbolicTensor);
  };
  const images = input({shape: [28, 28, 1]});
  let y = relu(normed(images, 16, 3));
  y = layers.maxPooling2d({poolSize: 2}).apply(y) as SymbolicTensor;
  y = block(block(y, 16, 1), 32, 2);
  y = layers.globalAveragePooling2d({}).apply(y) as SymbolicTensor;
  const kernelInitializer = heNormal(++seed);
  const outputs = layers
    .dense({units: 10, activation: 'softmax', kernelInitializer})
    .apply(y) as SymbolicTensor;
  return model({inputs: images, outputs});
}
