// Standard networks with seeded weights, for the shapes of their convolutions:
// built from their papers, without the classifiers' dense ends where these hold
// no convolution.
import * as tf from '@tensorflow/tfjs-core';
import {
  initializers,
  input,
  type LayersModel,
  layers,
  model,
  type SymbolicTensor,
} from '@tensorflow/tfjs-layers';

type Node = SymbolicTensor;

/** A convolution with bias and activation fused, as tfjs's converter makes them; tfjs-layers fuses relu alone. */
class FusedConv extends layers.Layer {
  static className = 'FusedConv';
  private readonly options: FusedOptions;
  private filter?: ReturnType<layers.Layer['addWeight']>;
  private bias?: ReturnType<layers.Layer['addWeight']>;

  constructor(options: FusedOptions) {
    super({});
    this.options = options;
  }

  override build(inputShape: Shape): void {
    const {filters, kernelSize, seed} = this.options;
    const inChannels = inputShape[3] as number;
    const filter = initializers.heUniform({seed});
    const shape = [kernelSize, kernelSize, inChannels, filters ?? 1];
    this.filter = this.addWeight('filter', shape, 'float32', filter);
    this.bias = this.addWeight('bias', [filters ?? inChannels], 'float32', initializers.zeros());
    this.built = true;
  }

  override computeOutputShape([batch, height, width, inChannels]: Shape): Shape {
    const {filters, strides} = this.options;
    const side = (size: number | null) => Math.ceil((size as number) / strides);
    return [batch, side(height), side(width), filters ?? inChannels];
  }

  override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
    const {filters, strides, activation} = this.options;
    const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor4D;
    const filter = this.filter?.read() as tf.Tensor4D;
    const bias = this.bias?.read() as tf.Tensor;
    const convolve = filters === undefined ? tf.fused.depthwiseConv2d : tf.fused.conv2d;
    return convolve({x, filter, strides, pad: 'same', bias, activation});
  }
}

interface FusedOptions {
  /** None for a depthwise convolution. */
  readonly filters?: number;
  readonly kernelSize: number;
  readonly strides: number;
  readonly activation: 'relu' | 'relu6' | 'linear';
  readonly seed: number;
}

type Shape = (number | null)[];

/** A network under construction; weights are numbered, so that they repeat. */
class Builder {
  private seed = 1;

  conv(
    x: Node,
    filters: number,
    kernelSize: number,
    strides = 1,
    activation: FusedOptions['activation'] = 'relu',
  ): Node {
    return this.fused(x, {filters, kernelSize, strides, activation});
  }

  depthwise(x: Node, strides = 1): Node {
    return this.fused(x, {kernelSize: 3, strides, activation: 'relu6'});
  }

  leaky(x: Node): Node {
    return layers.leakyReLU({alpha: 0.1}).apply(x) as Node;
  }

  private fused(x: Node, options: Omit<FusedOptions, 'seed'>): Node {
    return new FusedConv({...options, seed: this.seed++}).apply(x) as Node;
  }
}

const add = (a: Node, b: Node) => layers.add().apply([a, b]) as Node;
const concat = (...nodes: Node[]) => layers.concatenate().apply(nodes) as Node;
const pool = (x: Node, poolSize = 2, strides = 2) =>
  layers.maxPooling2d({poolSize, strides, padding: 'same'}).apply(x) as Node;
const upsample = (x: Node) => layers.upSampling2d({size: [2, 2]}).apply(x) as Node;
const average = (x: Node) => layers.globalAveragePooling2d({}).apply(x) as Node;

/** Howard et al., 2017. */
function mobileNetV1(b: Builder, x: Node): Node {
  x = b.conv(x, 32, 3, 2, 'relu6');
  for (const [filters, strides] of [
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
    ...Array(5).fill([512, 1]),
    [1024, 2],
    [1024, 1],
  ]) {
    x = b.conv(b.depthwise(x, strides), filters, 1, 1, 'relu6');
  }
  return average(x);
}

/** Sandler et al., 2018. */
function mobileNetV2(b: Builder, x: Node): Node {
  x = b.conv(x, 32, 3, 2, 'relu6');
  let channels = 32;
  for (const [expansion, filters, count, strides] of [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ]) {
    for (let i = 0; i < count; ++i) {
      const wide = expansion === 1 ? x : b.conv(x, expansion * channels, 1, 1, 'relu6');
      const narrow = b.conv(b.depthwise(wide, i === 0 ? strides : 1), filters, 1, 1, 'linear');
      x = i > 0 ? add(x, narrow) : narrow;
      channels = filters;
    }
  }
  return average(b.conv(x, 1280, 1, 1, 'relu6'));
}

/** He et al., 2016: basic blocks or bottlenecks. */
function resNet(counts: readonly number[], bottleneck: boolean) {
  return (b: Builder, x: Node): Node => {
    x = pool(b.conv(x, 64, 7, 2), 3, 2);
    counts.forEach((count, stage) => {
      const filters = 64 * 2 ** stage;
      const out = bottleneck ? 4 * filters : filters;
      for (let i = 0; i < count; ++i) {
        const strides = i === 0 && stage > 0 ? 2 : 1;
        const body = bottleneck
          ? b.conv(b.conv(b.conv(x, filters, 1, strides), filters, 3), out, 1, 1, 'linear')
          : b.conv(b.conv(x, filters, 3, strides), out, 3, 1, 'linear');
        const shortcut = i === 0 && (strides > 1 || bottleneck) ? b.conv(x, out, 1, strides, 'linear') : x;
        x = layers.activation({activation: 'relu'}).apply(add(body, shortcut)) as Node;
      }
    });
    return average(x);
  };
}

/** Simonyan and Zisserman, 2015: configuration D. */
function vgg16(b: Builder, x: Node): Node {
  for (const [filters, count] of [
    [64, 2],
    [128, 2],
    [256, 3],
    [512, 3],
    [512, 3],
  ]) {
    for (let i = 0; i < count; ++i) x = b.conv(x, filters, 3);
    x = pool(x);
  }
  return average(x);
}

/** Iandola et al., 2016: version 1.1. */
function squeezeNet(b: Builder, x: Node): Node {
  const fire = (input: Node, squeeze: number, expand: number) => {
    const narrow = b.conv(input, squeeze, 1);
    return concat(b.conv(narrow, expand, 1), b.conv(narrow, expand, 3));
  };
  x = pool(b.conv(x, 64, 3, 2), 3, 2);
  x = pool(fire(fire(x, 16, 64), 16, 64), 3, 2);
  x = pool(fire(fire(x, 32, 128), 32, 128), 3, 2);
  x = fire(fire(fire(fire(x, 48, 192), 48, 192), 64, 256), 64, 256);
  return average(b.conv(x, 1000, 1));
}

/** Ronneberger et al., 2015: four levels, half its channels, 'same' padding. */
function uNet(b: Builder, x: Node): Node {
  const skips: Node[] = [];
  for (const filters of [32, 64, 128, 256]) {
    x = b.conv(b.conv(x, filters, 3), filters, 3);
    skips.push(x);
    x = pool(x);
  }
  x = b.conv(b.conv(x, 512, 3), 512, 3);
  for (const filters of [256, 128, 64, 32]) {
    x = concat(b.conv(upsample(x), filters, 3), skips.pop() as Node);
    x = b.conv(b.conv(x, filters, 3), filters, 3);
  }
  return b.conv(x, 2, 1, 1, 'linear');
}

/** Redmon and Farhadi, 2018: YOLOv3-tiny, its coarser output. */
function yoloTiny(b: Builder, x: Node): Node {
  const conv = (input: Node, filters: number, size = 3) => b.leaky(b.conv(input, filters, size, 1, 'linear'));
  for (const filters of [16, 32, 64, 128, 256]) x = pool(conv(x, filters));
  x = pool(conv(x, 512), 2, 1);
  x = conv(conv(conv(x, 1024), 256, 1), 512);
  return b.conv(x, 255, 1, 1, 'linear');
}

/** Name, side of the input, and how it is built. */
export const ARCHITECTURES = {
  'MobileNetV1 224': [224, mobileNetV1],
  'MobileNetV2 224': [224, mobileNetV2],
  'ResNet-18 224': [224, resNet([2, 2, 2, 2], false)],
  'ResNet-50 224': [224, resNet([3, 4, 6, 3], true)],
  'VGG-16 224': [224, vgg16],
  'SqueezeNet 1.1 224': [224, squeezeNet],
  'U-Net 256': [256, uNet],
  'YOLOv3-tiny 416': [416, yoloTiny],
} as const;

export function buildArchitecture(name: keyof typeof ARCHITECTURES): {network: LayersModel; x: tf.Tensor4D} {
  const [size, build] = ARCHITECTURES[name];
  const inputs = input({shape: [size, size, 3]});
  const network = model({inputs, outputs: build(new Builder(), inputs)});
  return {network, x: tf.randomUniform([1, size, size, 3], 0, 1, 'float32', 7) as tf.Tensor4D};
}
