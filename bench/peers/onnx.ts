// A convolution as an ONNX model, for onnxruntime on WebAssembly and native.
import {type Contender, outputSize, threadedName} from '../contender.ts';
import type {Layer} from '../layer.ts';
import {nchwToNhwc, nhwcToNchw, oihwFrom, type PeerOutput} from './layouts.ts';
import {OnnxModel} from './onnxModel.ts';

/** What onnxruntime-web and onnxruntime-node have in common. */
export interface OnnxRuntime {
  readonly env: {readonly versions: {readonly common: string}};
  /** From a model's bytes; the native one takes a file's name as well. */
  readonly InferenceSession: {create(model: Uint8Array | string, options: object): Promise<OnnxSession>};
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => OnnxTensor;
}

interface OnnxTensor {
  readonly data: unknown;
  dispose(): void;
}

interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>>;
  release(): Promise<void>;
}

function convolutionModel(layer: Layer, filter: Float32Array): Uint8Array {
  const [filterHeight, filterWidth, inChannels, outChannels] = layer.filterShape;
  const {padInfo, outHeight, outWidth} = outputSize(layer);
  const model = new OnnxModel();
  const filterShape = [outChannels, inChannels, filterHeight, filterWidth];
  model.constant('filter', filterShape, oihwFrom(filter, layer.filterShape));
  model.add('Conv', {
    inputs: ['x', 'filter'],
    output: 'y',
    attributes: {
      strides: layer.strides,
      dilations: layer.dilations,
      pads: [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right],
    },
  });
  return model.build(
    {name: 'x', shape: nchwShape(layer)},
    {name: 'y', shape: [layer.xShape[0], outChannels, outHeight, outWidth]},
  );
}

const nchwShape = ({xShape: [batch, height, width, channels]}: Layer) => [batch, channels, height, width];

/** On so many threads, which are a setting of the process. */
export async function loadOnnxWeb(threads: number): Promise<OnnxRuntime> {
  // The package's build for Node, which has threads there. With the provider "wasm" it is not the native engine.
  const ort = await import(
    new URL('./node_modules/onnxruntime-web/dist/ort.node.min.mjs', import.meta.url).href
  );
  ort.env.wasm.numThreads = threads;
  return ort;
}

export const sessionOptions = (web: boolean, threads: number) => ({
  executionProviders: [web ? 'wasm' : 'cpu'],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
});

/** Input and output stay NCHW, the engine's own layout; only the comparison transposes. */
export function onnxContender(peer: string, threads: number, load: () => Promise<OnnxRuntime>): Contender {
  const name = threadedName(peer, threads);
  let session: OnnxSession | undefined;
  let x: OnnxTensor | undefined;
  return {
    name,
    fixedFilter: true,
    async start(layer, operands) {
      await session?.release();
      const runtime = await load();
      session = await runtime.InferenceSession.create(
        convolutionModel(layer, operands.filter.dataSync<'float32'>()),
        sessionOptions(peer === 'ort-web', threads),
      );
      x = new runtime.Tensor(
        'float32',
        nhwcToNchw(operands.x.dataSync<'float32'>(), layer.xShape),
        nchwShape(layer),
      );
    },
    async run(layer): Promise<PeerOutput> {
      if (session === undefined || x === undefined) throw new Error(`${name} was not started.`);
      const {y} = await session.run({x});
      const {outShape} = outputSize(layer);
      return {
        dataSync: () => nchwToNhwc(y.data as Float32Array, outShape),
        dispose: () => y.dispose(),
      };
    },
  };
}
