// A plugin of the bundler: writes the script of the threads' workers as a file, for pages that take none from a text.
import type {Plugin} from 'rolldown';
import {WORKER_SCRIPT} from '../src/wasm/threads/script.ts';

export function workerScriptPlugin(fileName: string): Plugin {
  return {
    name: 'worker-script',
    generateBundle() {
      this.emitFile({type: 'asset', fileName, source: WORKER_SCRIPT});
    },
  };
}
