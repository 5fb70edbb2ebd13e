// A convolution as an ONNX model, for onnxruntime on WebAssembly and native.
import onnxProto from 'onnx-proto';
import {type Contender, outputSize, threadedName} from '../contender.ts';
import type {Layer} from '../layer.ts';
import {nchwToNhwc, nhwcToNchw, ohwiFrom, type PeerOutput} from './layouts.ts';

/** What onnxruntime-web and onnxruntime-node have in common. */
export interface OnnxRuntime {
  readonly InferenceSession: {create(model: Uint8Array, options: object): Promise<OnnxSession>};
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => OnnxTensor;
}

interface OnnxTensor {
  readonly data: unknown;
  dispose(): void;
}

interface OnnxSession {
  run(feeds: Record<string, OnnxTensor>): Promise<Record<string, OnnxTensor>>;
  release(): Promise<void>;
}

const {onnx} = onnxProto;
const FLOAT = onnx.TensorProto.DataType.FLOAT;

function convolutionModel(layer: Layer, filter: Float32Array): Uint8Array {
  const [filterHeight, filterWidth, inChannels, outChannels] = layer.filterShape;
  const {padInfo, outHeight, outWidth} = outputSize(layer);
  const [batch] = layer.xShape;
  const ints = (name: string, values: readonly number[]) => ({
    name,
    type: onnx.AttributeProto.AttributeType.INTS,
    ints: [...values],
  });
  const value = (name: string, shape: readonly number[]) => ({
    name,
    type: {tensorType: {elemType: FLOAT, shape: {dim: shape.map((size) => ({dimValue: size}))}}},
  });
  // onnxruntime wants OIHW.
  const weights = nhwcToNchw(ohwiFrom(filter, layer.filterShape), [
    outChannels,
    filterHeight,
    filterWidth,
    inChannels,
  ]);
  return onnx.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{domain: '', version: 13}],
    graph: {
      name: 'convolution',
      node: [
        {
          opType: 'Conv',
          input: ['x', 'filter'],
          output: ['y'],
          attribute: [
            ints('strides', layer.strides),
            ints('dilations', layer.dilations),
            ints('pads', [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right]),
          ],
        },
      ],
      initializer: [
        {
          name: 'filter',
          dataType: FLOAT,
          dims: [outChannels, inChannels, filterHeight, filterWidth],
          rawData: new Uint8Array(weights.buffer),
        },
      ],
      input: [value('x', nchwShape(layer))],
      output: [value('y', [batch, outChannels, outHeight, outWidth])],
    },
  }).finish();
}

const nchwShape = ({xShape: [batch, height, width, channels]}: Layer) => [batch, channels, height, width];

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
        {
          executionProviders: [peer === 'ort-web' ? 'wasm' : 'cpu'],
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
          graphOptimizationLevel: 'all',
        },
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
