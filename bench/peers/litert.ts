// A convolution as a TFLite model, for LiteRT.js.
import {cpSync, existsSync, readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import {type Contender, outputSize, threadedName} from '../contender.ts';
import type {Layer} from '../layer.ts';
import {ohwiFrom, type PeerOutput} from './layouts.ts';
import {ACTIVATION, byte, int, PADDING, TfliteModel} from './tfliteModel.ts';

function convolutionModel(layer: Layer, filter: Float32Array): Uint8Array {
  const [filterHeight, filterWidth, inChannels, outChannels] = layer.filterShape;
  const model = new TfliteModel(filter.byteLength);
  const input = model.tensor('x', layer.xShape);
  const filterShape = [outChannels, filterHeight, filterWidth, inChannels];
  const inputs = [
    input,
    model.tensor('filter', filterShape, ohwiFrom(filter, layer.filterShape)),
    model.tensor('bias', [outChannels], new Float32Array(outChannels)),
  ];
  const output = model.tensor('y', outputSize(layer).outShape);
  const options = [
    byte(PADDING[layer.pad]),
    int(layer.strides[1]),
    int(layer.strides[0]),
    byte(ACTIVATION.none),
    int(layer.dilations[1]),
    int(layer.dilations[0]),
  ];
  model.operator('conv2d', {inputs, output, options});
  return model.build(input, output);
}

const PACKAGE = new URL('./node_modules/@litertjs/core/', import.meta.url);
const BUILDS = new URL('./node_modules/.litert/', import.meta.url);

export const liteRtVersion = (): string =>
  JSON.parse(readFileSync(new URL('package.json', PACKAGE), 'utf8')).version;

/**
 * LiteRT.js expects a browser's worker, and its script loader. Its scripts are CommonJS in a package of ES modules,
 * and its threads load them by name: a copy says what they are.
 */
function standInForWorker(): void {
  const copied = new URL('package.json', BUILDS);
  const description = JSON.stringify({type: 'commonjs', version: liteRtVersion()});
  if (!existsSync(copied) || readFileSync(copied, 'utf8') !== description) {
    cpSync(new URL('wasm/', PACKAGE), BUILDS, {recursive: true});
    writeFileSync(copied, description);
  }
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
// biome-ignore lint/suspicious/noExplicitAny: as above
export async function loadLiteRt(threaded: boolean): Promise<any> {
  if (core !== undefined) return core;
  standInForWorker();
  core = await import('@litertjs/core');
  const build = threaded ? 'litert_wasm_threaded_internal.js' : 'litert_wasm_internal.js';
  await core.loadLiteRt(fileURLToPath(new URL(build, BUILDS)));
  return core;
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
