// Other engines on the benchmark's layers, with the threads that im2win has. They are installed
// beside this file, and nothing else needs them.
import {createRequire} from 'node:module';
import {benchCommand} from '../program.ts';
import {liteRtContender} from './litert.ts';
import {type OnnxRuntime, onnxContender} from './onnx.ts';

const require = createRequire(import.meta.url);

/** Its threads are a setting of the process. */
async function onnxWeb(threads: number): Promise<OnnxRuntime> {
  // The package's build for Node, which has threads there. With the provider "wasm" it is not the native engine.
  const ort = await import(
    new URL('./node_modules/onnxruntime-web/dist/ort.node.min.mjs', import.meta.url).href
  );
  ort.env.wasm.numThreads = threads;
  return ort as unknown as OnnxRuntime;
}

await benchCommand((_, threads) => [
  onnxContender('ort-web', Math.max(...threads), () => onnxWeb(Math.max(...threads))),
  ...threads.flatMap((count) => [
    liteRtContender(count, Math.max(...threads) > 1),
    onnxContender('ort-native', count, async () => require('onnxruntime-node')),
  ]),
])
  .name('npm run bench:peers --')
  .parseAsync()
  .catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
