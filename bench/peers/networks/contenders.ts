// Who is compared on whole networks.
import {tfjsNodeEnvironment} from '../../native/subject.ts';

export interface Contender {
  readonly name: string;
  readonly engine: 'tfjs-wasm' | 'onnxruntime-web' | 'onnxruntime-node' | 'litert' | 'tfjs-node';
  /** The form of the network that it takes. */
  readonly form: 'graph' | 'layers' | 'onnx' | 'tflite' | 'savedModel';
  readonly threads: number;
  /** Whether im2win is registered. */
  readonly im2win?: boolean;
  /** Whether `optimizeModel` has changed the model. */
  readonly optimized?: boolean;
  /** What the process is started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** What is the same engine and form in other settings: of a group the fastest counts. */
  readonly group: string;
}

/** Groups; the last two are also names. */
export const OURS = 'im2win, graph model';
export const OUR_LAYERS = 'im2win, layers model';
export const STOCK = 'stock, graph model';
export const STOCK_LAYERS = 'stock, layers model';

/** In Node stock has one thread. */
const stock = (form: 'graph' | 'layers'): Contender => ({
  name: form === 'graph' ? STOCK : STOCK_LAYERS,
  engine: 'tfjs-wasm',
  form,
  threads: 1,
  environment: {},
  group: form === 'graph' ? STOCK : STOCK_LAYERS,
});

/** As many threads each. Those of one thread count are measured together, stock among them. */
export function contendersOn(threads: number): Contender[] {
  const im2win = (form: 'graph' | 'layers', optimized: boolean): Contender => ({
    name: `im2win, ${form} model${optimized ? ', optimized' : ''}`,
    engine: 'tfjs-wasm',
    form,
    threads,
    im2win: true,
    optimized,
    environment: {},
    group: form === 'graph' ? OURS : OUR_LAYERS,
  });
  const peer = (engine: Contender['engine'], form: Contender['form'], name: string): Contender => ({
    name,
    engine,
    form,
    threads,
    environment: {},
    group: name,
  });
  const tfjsNode = (name: string, form: 'graph' | 'savedModel', oneDnn: boolean): Contender => ({
    ...peer('tfjs-node', form, `tfjs-node${name}`),
    environment: tfjsNodeEnvironment(threads, oneDnn),
    group: form === 'graph' ? 'tfjs-node, op by op' : 'tfjs-node, SavedModel',
  });
  return [
    stock('graph'),
    im2win('graph', false),
    im2win('graph', true),
    ...(threads === 1 ? [stock('layers')] : []),
    im2win('layers', false),
    im2win('layers', true),
    peer('litert', 'tflite', 'LiteRT.js'),
    peer('onnxruntime-web', 'onnx', 'onnxruntime-web'),
    tfjsNode('', 'graph', false),
    tfjsNode(', oneDNN', 'graph', true),
    tfjsNode(', SavedModel', 'savedModel', false),
    tfjsNode(', SavedModel, oneDNN', 'savedModel', true),
    peer('onnxruntime-node', 'onnx', 'onnxruntime-node'),
  ];
}

/** What every other is compared with: it is measured beside each. */
export const isBase = ({group}: Contender): boolean => group === STOCK || group === OURS;

/** What a contender's process is asked. */
export type Question = {readonly warmMs: number} | 'run' | 'kernels';

/** What it says once the network has run for the first time. */
export interface Started {
  /** The engine's version. */
  readonly version: string;
  /** Of the engine, of the model, and of its first run. */
  readonly startMs: number;
  readonly loadMs: number;
  readonly firstMs: number;
  /** The most memory that the process has held until then. */
  readonly peakBytes: number;
  /** Largest difference of an output from stock's layers model, relative to its largest value. */
  readonly difference: number;
}

/** Milliseconds of each of tfjs's kernels in a run. */
export type Kernels = Readonly<Record<string, number>>;
