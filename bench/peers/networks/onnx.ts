// onnxruntime, on WebAssembly or native. Input and output are as the network has them there: NCHW.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {nhwcToNchw} from '../layouts.ts';
import {loadOnnxWeb, type OnnxRuntime, sessionOptions} from '../onnx.ts';
import type {Contender} from './contenders.ts';
import type {Engine, Model} from './engine.ts';
import {FILES, readFacts, readFloats} from './files.ts';
import {onnxShape} from './onnxShape.ts';

export async function startOnnx({engine, threads}: Contender): Promise<Engine> {
  const web = engine === 'onnxruntime-web';
  const runtime: OnnxRuntime = web
    ? await loadOnnxWeb(threads)
    : createRequire(import.meta.url)('onnxruntime-node');
  return {
    version: `onnxruntime ${runtime.env.versions.common}`,
    async load(folder): Promise<Model> {
      const file = path.join(folder, FILES.onnx);
      // The native one maps the file.
      const session = await runtime.InferenceSession.create(
        web ? readFileSync(file) : file,
        sessionOptions(web, threads),
      );
      const {inputShape} = readFacts(folder);
      const values = nhwcToNchw(readFloats(path.join(folder, FILES.input)), inputShape);
      const feeds = {[session.inputNames[0]]: new runtime.Tensor('float32', values, onnxShape(inputShape))};
      const [output] = session.outputNames;
      return {run: async () => (await session.run(feeds))[output].data as Float32Array};
    },
  };
}
