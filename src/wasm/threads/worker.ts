// Starts a worker, in Node or in a browser.
import {WORKER_SCRIPT, type WorkerData} from './script.ts';

/** A worker that was started. It may never come to run. */
export interface RunningWorker {
  terminate(): void;
}

export interface WorkerListener {
  /** It failed, or could not begin. */
  failed(reason: string): void;
  /** It has ended, whatever the reason; browsers do not say it. */
  ended(): void;
}

/** Where a worker's script is to come from, where the host takes no text. */
export type WorkerUrl = string | undefined;

/**
 * Starts a worker, which keeps no process alive.
 *
 * @throws Error if the host makes no workers.
 */
export function startWorker(data: WorkerData, url: WorkerUrl, listener: WorkerListener): RunningWorker {
  const node = nodeWorkers();
  return node === undefined ? startWebWorker(data, url, listener) : startNodeWorker(node, data, listener);
}

type NodeWorkers = typeof import('node:worker_threads');

/** Node's workers, without an import that other hosts and bundlers would have to resolve. */
function nodeWorkers(): NodeWorkers | undefined {
  return globalThis.process?.getBuiltinModule?.('node:worker_threads');
}

function startNodeWorker(
  {Worker, SHARE_ENV}: NodeWorkers,
  workerData: WorkerData,
  {failed, ended}: WorkerListener,
): RunningWorker {
  const worker = new Worker(WORKER_SCRIPT, {
    eval: true,
    workerData,
    // What the process was started with, loaders and profilers among it, is not for these.
    execArgv: [],
    env: SHARE_ENV as unknown as NodeJS.ProcessEnv,
    name: 'im2win',
  });
  // Without a listener an error would end the process.
  worker.on('error', ({message}) => failed(`a worker failed: ${message}`));
  worker.on('exit', ended);
  worker.unref();
  return {terminate: () => void worker.terminate()};
}

function startWebWorker(data: WorkerData, url: WorkerUrl, {failed}: WorkerListener): RunningWorker {
  const notLoaded =
    url === undefined
      ? "a worker's script could not be had from a blob: URL, which the page's Content-Security-Policy may forbid. Name " +
        'im2win-worker.js of this package by the option workerUrl'
      : `a worker's script could not be loaded from '${url}'`;
  const worker = makeWebWorker(url ?? scriptUrl(), notLoaded);
  worker.onerror = (event) => {
    event.preventDefault();
    // What kept a script from being loaded no host says.
    failed(event.message ? `a worker failed: ${event.message}` : notLoaded);
  };
  worker.postMessage(data);
  return {terminate: () => worker.terminate()};
}

function makeWebWorker(url: string, notLoaded: string): Worker {
  try {
    return new Worker(url, {name: 'im2win'});
  } catch (cause) {
    throw new Error(`${notLoaded} (${(cause as Error).message})`, {cause});
  }
}

let blobUrl: string | undefined;

/** Never revoked: a worker may be started at any time. */
function scriptUrl(): string {
  blobUrl ??= URL.createObjectURL(new Blob([WORKER_SCRIPT], {type: 'text/javascript'}));
  return blobUrl;
}
