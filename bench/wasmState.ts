import * as tf from '@tensorflow/tfjs-core';
import type {Flavour} from '../src/plan.ts';
import {compileKernels} from '../src/wasm/module.ts';
import {WasmState} from '../src/wasm/state.ts';
import type {TfjsWasmBackend} from '../src/wasm/tfjs.ts';

/**
 * The library's internals on the wasm backend that is current.
 *
 * @throws Error if they cannot run on it.
 */
export async function openState(flavour: Flavour): Promise<WasmState> {
  const backend = tf.backend() as unknown as TfjsWasmBackend;
  const state = WasmState.create(backend, await compileKernels(flavour, false));
  if (typeof state === 'string') throw new Error(state);
  return state;
}
