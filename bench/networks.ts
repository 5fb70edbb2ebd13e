// Whole networks: pretrained ones from packages, installed under
// bench/networks, and standard architectures with seeded weights.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import {loadGraphModel} from '@tensorflow/tfjs-converter';
import {layers, loadLayersModel} from '@tensorflow/tfjs-layers';
import {ARCHITECTURES, buildArchitecture} from './architectures.ts';

const PACKAGES = new URL('./networks/node_modules/', import.meta.url);

export interface LoadedNetwork {
  /** Runs the network once on its input; the caller disposes of the outputs. */
  predict(): tf.Tensor[];
}

type Load = () => Promise<LoadedNetwork>;

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

type Outputs = tf.Tensor | Outputs[] | {[name: string]: Outputs};

const list = (outputs: Outputs): tf.Tensor[] =>
  outputs instanceof tf.Tensor ? [outputs] : Object.values(outputs).flatMap((one: Outputs) => list(one));

const esrgan =
  (size: string, scale: number, side: number): Load =>
  async () => {
    registerEsrganLayers(scale);
    const network = await loadLayersModel(
      fromFiles(`@upscalerjs/esrgan-${size}/models/x${scale}/`, 'model.json'),
    );
    const x = tf.randomUniform([1, side, side, 3], 0, 255, 'float32', 7);
    return {predict: () => list(network.predict(x) as tf.Tensor)};
  };

const human =
  (file: string, shape: [number, number, number, number], dtype: 'float32' | 'int32' = 'float32'): Load =>
  async () => {
    const network = await loadGraphModel(fromFiles('@vladmandic/human/models/', file));
    const x = tf.cast(tf.randomUniform(shape, 0, dtype === 'int32' ? 255 : 1, 'float32', 7), dtype);
    return {predict: () => list(network.execute(x))};
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

export const NETWORKS: Record<string, Load> = {
  'ESRGAN slim 2×, 128': esrgan('slim', 2, 128),
  'ESRGAN medium 2×, 64': esrgan('medium', 2, 64),
  'ESRGAN thick 4×, 32': esrgan('thick', 4, 32),
  'BlazeFace 256': human('blazeface.json', [1, 256, 256, 3]),
  'FaceMesh 192': human('facemesh.json', [1, 192, 192, 3]),
  'FaceRes 224': human('faceres.json', [1, 224, 224, 3]),
  'Iris 64': human('iris.json', [1, 64, 64, 3]),
  'MoveNet Lightning 192': human('movenet-lightning.json', [1, 192, 192, 3], 'int32'),
  'HandLandmark lite 224': human('handlandmark-lite.json', [1, 224, 224, 3]),
  'face-api SSD MobileNetV1 512': faceApi('ssdMobilenetv1', 512),
  'face-api tiny detector 416': faceApi('tinyFaceDetector', 416),
  'face-api landmarks 112': faceApi('faceLandmark68Net', 112),
  'face-api recognition 150': faceApi('faceRecognitionNet', 150),
  ...Object.fromEntries(
    (Object.keys(ARCHITECTURES) as (keyof typeof ARCHITECTURES)[]).map((name): [string, Load] => [
      name,
      async () => {
        const {network, x} = buildArchitecture(name);
        return {predict: () => list(network.predict(x) as tf.Tensor)};
      },
    ]),
  ),
};

/** The bytes of the wasm backend's heap. */
export function heapBytes(): number {
  return (tf.backend() as unknown as {wasm: {HEAPU8: Uint8Array}}).wasm.HEAPU8.length;
}
