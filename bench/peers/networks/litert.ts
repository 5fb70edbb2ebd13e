// LiteRT.js.
import {readFileSync} from 'node:fs';
import path from 'node:path';
import {liteRtVersion, loadLiteRt} from '../litert.ts';
import type {Contender} from './contenders.ts';
import type {Engine, Model} from './engine.ts';
import {FILES, readFacts, readFloats} from './files.ts';

export async function startLiteRt({threads}: Contender): Promise<Engine> {
  const core = await loadLiteRt(threads > 1);
  return {
    version: `LiteRT.js ${liteRtVersion()}`,
    async load(folder): Promise<Model> {
      const model = await core.loadAndCompile(readFileSync(path.join(folder, FILES.tflite)), {
        accelerator: 'wasm',
        cpuOptions: {numThreads: threads},
      });
      const x = new core.Tensor(readFloats(path.join(folder, FILES.input)), [
        ...readFacts(folder).inputShape,
      ]);
      return {
        async run() {
          const [y] = await model.run([x]);
          const values = Float32Array.from(y.toTypedArray());
          y.delete();
          return values;
        },
      };
    },
  };
}
