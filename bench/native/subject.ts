// What is measured: a layer, or a whole network; by whom.
import type {Layer} from '../layer.ts';

export type Subject = {readonly layer: Layer} | {readonly network: string};

export interface Contender {
  readonly name: string;
  readonly engine: 'stock' | 'im2win' | 'native';
  readonly threads: number;
  /** What the process is started with. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What a contender's process is asked, and what it answers. */
export type Question = {readonly prepare: Subject} | 'run';

export interface Ready {
  /** The version below tfjs-node. */
  readonly tensorFlow?: string;
}

export interface Prepared {
  readonly outputs: readonly Float32Array[];
  readonly firstMs: number;
}

/** In Node it has one thread. */
export const STOCK: Contender = {name: 'stock', engine: 'stock', threads: 1, environment: {}};

/** What a process of tfjs-node's is started with. */
export const tfjsNodeEnvironment = (threads: number, oneDnn: boolean): Readonly<Record<string, string>> => ({
  TF_NUM_INTRAOP_THREADS: String(threads),
  TF_NUM_INTEROP_THREADS: '1',
  TF_ENABLE_ONEDNN_OPTS: oneDnn ? '1' : '0',
  TF_CPP_MIN_LOG_LEVEL: '2',
});

/** tfjs-node with oneDNN and without, and im2win, on as many threads. */
export function contendersOn(threads: number): Contender[] {
  const native = (oneDnn: boolean): Contender => ({
    name: `tfjs-node${oneDnn ? ' oneDNN' : ''} ×${threads}`,
    engine: 'native',
    threads,
    environment: tfjsNodeEnvironment(threads, oneDnn),
  });
  return [
    {name: `im2win ×${threads}`, engine: 'im2win', threads, environment: {}},
    native(false),
    native(true),
  ];
}
