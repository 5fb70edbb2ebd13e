// Other engines on the benchmark's layers, one thread each. They are installed
// beside this file, and nothing else needs them.
import {createRequire} from 'node:module';
import {benchCommand} from '../program.ts';
import {liteRtContender} from './litert.ts';
import {type OnnxRuntime, onnxContender} from './onnx.ts';

const require = createRequire(import.meta.url);

async function onnxWeb(): Promise<OnnxRuntime> {
  // The package's default for Node is the native engine in disguise.
  const ort = await import('onnxruntime-web/wasm');
  ort.env.wasm.numThreads = 1;
  return ort as unknown as OnnxRuntime;
}

await benchCommand(() => [
  onnxContender('ort-web', onnxWeb),
  liteRtContender(),
  onnxContender('ort-native', async () => require('onnxruntime-node')),
])
  .name('npm run bench:peers --')
  .parseAsync()
  .catch((error: Error) => {
    console.error(`error: ${error.message}`);
    process.exitCode = 1;
  });
