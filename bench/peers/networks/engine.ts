// What an engine is to the process that runs it.
import type {Contender} from './contenders.ts';

export interface Engine {
  readonly version: string;
  /** From the folder that the network was written into. */
  load(folder: string): Promise<Model>;
}

export interface Model {
  /** From the input, where the engine takes a copy of it, to the output's values. */
  run(): Float32Array | Promise<Float32Array>;
}

export type StartEngine = (contender: Contender) => Promise<Engine>;
