// A convolution as a TFLite model, for LiteRT.js.
import {cpSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import {Builder} from 'flatbuffers';
import {type Contender, outputSize, threadedName} from '../contender.ts';
import type {Layer} from '../layer.ts';
import {ohwiFrom, type PeerOutput} from './layouts.ts';

// Field numbers and codes of tensorflow/lite/schema/schema.fbs.
const CONV_2D = 3;
const CONV_2D_OPTIONS = 1;
const PADDING = {same: 0, valid: 1};

function convolutionModel(layer: Layer, filter: Float32Array): Uint8Array {
  const b = new Builder(filter.byteLength + 4096);
  const [filterHeight, filterWidth, inChannels, outChannels] = layer.filterShape;
  const {outShape} = outputSize(layer);

  const offsets = (values: readonly number[]) => {
    b.startVector(4, values.length, 4);
    for (const value of [...values].reverse()) b.addOffset(value);
    return b.endVector();
  };
  const ints = (values: readonly number[]) => {
    b.startVector(4, values.length, 4);
    for (const value of [...values].reverse()) b.addInt32(value);
    return b.endVector();
  };
  const buffer = (values?: Float32Array) => {
    const data = values && bytes(b, values);
    b.startObject(1);
    if (data !== undefined) b.addFieldOffset(0, data, 0);
    return b.endObject();
  };
  const tensor = (name: string, shape: readonly number[], index: number) => {
    const nameOffset = b.createString(name);
    const shapeOffset = ints(shape);
    b.startObject(4);
    b.addFieldOffset(0, shapeOffset, 0);
    b.addFieldInt8(1, 0, 0);
    b.addFieldInt32(2, index, 0);
    b.addFieldOffset(3, nameOffset, 0);
    return b.endObject();
  };

  const buffers = offsets([
    buffer(),
    buffer(ohwiFrom(filter, layer.filterShape)),
    buffer(new Float32Array(outChannels)),
  ]);
  const tensors = offsets([
    tensor('x', layer.xShape, 0),
    tensor('filter', [outChannels, filterHeight, filterWidth, inChannels], 1),
    tensor('bias', [outChannels], 2),
    tensor('y', outShape, 0),
  ]);
  b.startObject(6);
  b.addFieldInt8(0, PADDING[layer.pad], 0);
  b.addFieldInt32(1, layer.strides[1], 0);
  b.addFieldInt32(2, layer.strides[0], 0);
  b.addFieldInt8(3, 0, 0);
  b.addFieldInt32(4, layer.dilations[1], 1);
  b.addFieldInt32(5, layer.dilations[0], 1);
  const options = b.endObject();
  const operatorInputs = ints([0, 1, 2]);
  const operatorOutputs = ints([3]);
  b.startObject(5);
  b.addFieldInt32(0, 0, 0);
  b.addFieldOffset(1, operatorInputs, 0);
  b.addFieldOffset(2, operatorOutputs, 0);
  b.addFieldInt8(3, CONV_2D_OPTIONS, 0);
  b.addFieldOffset(4, options, 0);
  const operators = offsets([b.endObject()]);
  const inputs = ints([0]);
  const outputs = ints([3]);
  b.startObject(4);
  b.addFieldOffset(0, tensors, 0);
  b.addFieldOffset(1, inputs, 0);
  b.addFieldOffset(2, outputs, 0);
  b.addFieldOffset(3, operators, 0);
  const subgraphs = offsets([b.endObject()]);
  b.startObject(4);
  b.addFieldInt8(0, CONV_2D, 0);
  b.addFieldInt32(2, 1, 1);
  b.addFieldInt32(3, CONV_2D, 0);
  const operatorCodes = offsets([b.endObject()]);
  b.startObject(5);
  b.addFieldInt32(0, 3, 0);
  b.addFieldOffset(1, operatorCodes, 0);
  b.addFieldOffset(2, subgraphs, 0);
  b.addFieldOffset(4, buffers, 0);
  b.finish(b.endObject(), 'TFL3');
  return b.asUint8Array().slice();
}

// The schema wants a buffer's data on a 16-byte boundary.
function bytes(b: Builder, values: Float32Array): number {
  b.startVector(1, values.byteLength, 16);
  const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let i = data.length - 1; i >= 0; --i) b.addInt8(data[i]);
  return b.endVector();
}

const PACKAGE = new URL('./node_modules/@litertjs/core/wasm/', import.meta.url);
const BUILDS = new URL('./node_modules/.litert/', import.meta.url);

/**
 * LiteRT.js expects a browser's worker, and its script loader. Its scripts are CommonJS in a package of ES modules,
 * and its threads load them by name: a copy says what they are.
 */
function standInForWorker(): void {
  cpSync(PACKAGE, BUILDS, {recursive: true});
  writeFileSync(new URL('package.json', BUILDS), '{"type": "commonjs"}');
  const require = createRequire(import.meta.url);
  Object.assign(globalThis, {
    self: globalThis,
    importScripts: (path: string) => {
      Object.assign(globalThis, {ModuleFactory: require(path)});
    },
  });
}

// biome-ignore lint/suspicious/noExplicitAny: the package is optional, and so are its types
let core: any;

/** A process has one build of it: the threaded one where any contender runs on threads. */
async function loadLiteRt(threaded: boolean): Promise<void> {
  if (core !== undefined) return;
  standInForWorker();
  core = await import('@litertjs/core');
  const build = threaded ? 'litert_wasm_threaded_internal.js' : 'litert_wasm_internal.js';
  await core.loadLiteRt(fileURLToPath(new URL(build, BUILDS)));
}

/**
 * @param threads How many it runs on.
 * @param threaded Whether another contender runs on more than one.
 */
export function liteRtContender(threads: number, threaded: boolean): Contender {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  let model: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  let x: any;
  return {
    name: threadedName('litert', threads),
    fixedFilter: true,
    async start(layer, operands) {
      await loadLiteRt(threaded);
      model?.delete();
      model = await core.loadAndCompile(convolutionModel(layer, operands.filter.dataSync<'float32'>()), {
        accelerator: 'wasm',
        cpuOptions: {numThreads: threads},
      });
      x?.delete();
      x = new core.Tensor(operands.x.dataSync<'float32'>(), [...layer.xShape]);
    },
    async run(): Promise<PeerOutput> {
      const [y] = await model.run([x]);
      return {dataSync: () => Float32Array.from(y.toTypedArray()), dispose: () => y.delete()};
    },
  };
}
