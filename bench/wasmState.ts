import * as tf from '@tensorflow/tfjs-core';
import type {Flavour} from '../src/plan.ts';
import {type ConvTensors, runConv2d} from '../src/wasm/conv2d.ts';
import {EMBEDDED_KERNELS} from '../src/wasm/embedded.ts';
import {isShared} from '../src/wasm/heap.ts';
import {ConvJob, type JobSpec} from '../src/wasm/job.ts';
import type {KernelModules} from '../src/wasm/module.ts';
import {openKernels} from '../src/wasm/source.ts';
import {type ThreadWishes, WasmState} from '../src/wasm/state.ts';
import type {TfjsWasmBackend, TfjsWasmModule} from '../src/wasm/tfjs.ts';

/**
 * The library's internals on the wasm backend that is current.
 *
 * @throws Error if they cannot run on it.
 */
export async function openState(flavour: Flavour, wishes?: ThreadWishes): Promise<WasmState> {
  const backend = tf.backend() as unknown as TfjsWasmBackend;
  const shared = isShared((backend.wasm as TfjsWasmModule).HEAPU8.buffer);
  const state = WasmState.create(backend, await kernelsOf(flavour, shared), wishes);
  if (typeof state === 'string') throw new Error(state);
  return state;
}

/**
 * A convolution by a plan of one's own, whose record is kept for this call alone.
 *
 * @returns A new tensor of the geometry's `outShape`, as the backend knows it.
 */
export function runPlan(state: WasmState, spec: JobSpec, tensors: ConvTensors): tf.TensorInfo {
  try {
    const [job] = state.jobs.get(spec, 1, (_, offset) => new ConvJob(state.heap, offset, spec));
    return runConv2d(state, job, tensors);
  } finally {
    state.jobs.forget(spec);
  }
}

/** The library's kernels of a flavour, compiled. */
export async function kernelsOf(flavour: Flavour, shared = false): Promise<KernelModules> {
  return (await openKernels(EMBEDDED_KERNELS, flavour, {
    possible: shared,
    expected: shared,
  })) as KernelModules;
}
