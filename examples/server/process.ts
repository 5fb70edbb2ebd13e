// The service as a process of its own, for tests and the benchmark.
import {type ChildProcess, spawn} from 'node:child_process';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

/**
 * Returns when it listens, on a port of its own.
 *
 * @throws Error with what it has said, if it ends before that.
 */
export async function startProcess(
  options: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<{origin: string; child: ChildProcess}> {
  const child = spawn(process.execPath, [MAIN, '--port', '0', ...options], {
    env: {...process.env, ...environment},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  child.stderr.on('data', (data) => said.push(String(data)));
  // Read to its end, or the pipe would be full some time.
  const lines = createInterface({input: child.stdout});
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const origin = /Server listening at (http:[^"]*)/.exec(line)?.[1];
      if (origin !== undefined) resolve({origin, child});
    });
    child.once('close', () => reject(new Error(said.join('') || 'The service has ended.')));
  });
}
