// Other engines on the benchmark's layers, with the threads that im2win has, or on whole networks. They are installed
// beside this file, and nothing else needs them.
import {createRequire} from 'node:module';
import {benchCommand} from '../program.ts';
import {liteRtContender} from './litert.ts';
import {networksCommand} from './networks/main.ts';
import {loadOnnxWeb, onnxContender} from './onnx.ts';

const require = createRequire(import.meta.url);

const layersCommand = benchCommand((_, threads) => [
  onnxContender('ort-web', Math.max(...threads), () => loadOnnxWeb(Math.max(...threads))),
  ...threads.flatMap((count) => [
    liteRtContender(count, Math.max(...threads) > 1),
    onnxContender('ort-native', count, async () => require('onnxruntime-node')),
  ]),
])
  .name('npm run bench:peers --')
  .addHelpText(
    'after',
    '\nWhole networks instead of layers: --networks, of which --networks --help tells more.',
  );

const wholeNetworks = process.argv.some((argument) => /^--networks(=|$)/.test(argument));
await (wholeNetworks ? networksCommand : layersCommand).parseAsync().catch((error: Error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
