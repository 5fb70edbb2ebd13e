// tfjs-node, where it is installed. Nothing here needs it.
import {createRequire} from 'node:module';
import util from 'node:util';
import type {io} from '@tensorflow/tfjs-core';

/** What is used of the package. Importing it registers the backend 'tensorflow'. */
export interface TfjsNode {
  readonly io: {fileSystem(path: string): io.IOHandler};
  readonly version: Readonly<Record<string, string>>;
}

export function loadTfjsNode(): {readonly tfjsNode?: TfjsNode; readonly whyNot?: string} {
  // Version 4.22 calls these two. Node 23 and later have the first no more, and warn of the second.
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
  try {
    return {tfjsNode: createRequire(import.meta.url)('@tensorflow/tfjs-node')};
  } catch (error) {
    // Not installed; or its native part is missing, for which it has no code of its own.
    return {whyNot: (error as Error).message.split('\n')[0]};
  }
}
