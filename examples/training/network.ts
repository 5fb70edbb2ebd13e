import {train} from '@tensorflow/tfjs-core';
import {initializers, layers, type Sequential, sequential} from '@tensorflow/tfjs-layers';

/** A small CNN for 28×28 digits: two full convolutions, a separable one, a dense layer. */
export function makeNetwork(): Sequential {
  // Seeded, so that each run starts from the same weights.
  const heNormal = (seed: number) => initializers.heNormal({seed});
  const network = sequential({
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
  network.compile({optimizer: train.adam(0.002), loss: 'categoricalCrossentropy', metrics: ['accuracy']});
  return network;
}
