// Makes recorded calls again: tensors of their shapes, by any backend's kernel.
import type {DataId, KernelConfig, KernelFunc, TensorInfo, TypedArray} from '@tensorflow/tfjs-core';
import {uniform} from './random.ts';
import {type KernelCall, mapInputs, type TensorSpec} from './recording.ts';

/** What tfjs's backends have for it, beside tfjs's engine. */
export interface ReplayBackend {
  write(values: TypedArray, shape: readonly number[], dtype: string): DataId;
  readSync(data: DataId): TypedArray;
  disposeData(data: DataId, force?: boolean): unknown;
}

export type Tensors = Record<string, TensorInfo> | TensorInfo[];

/** One call's values, whatever backend it is made on. */
export function valuesOf(call: KernelCall): Record<string, TypedArray> {
  let seed = 0;
  return Object.fromEntries(
    Object.entries(call.inputs).map(([name, spec]: [string, TensorSpec]) => [
      name,
      values(call.kernel, name, spec, seed++),
    ]),
  );
}

// What is one of some tensor's places: the first is in all.
const PLACES = new Set(['indices', 'sparseIndices']);
const POSITIVE = new Set(['Log', 'Rsqrt', 'Sqrt', 'FusedBatchNorm variance']);

function values(kernel: string, name: string, {dtype, shape}: TensorSpec, seed: number): TypedArray {
  const count = sizeOf(shape);
  if (dtype === 'bool') return Uint8Array.from({length: count}, (_, i) => i % 2);
  // No divisor is zero.
  if (dtype === 'int32') return new Int32Array(count).map((_, i) => (PLACES.has(name) ? 0 : 1 + (i % 7)));
  const floats = uniform(count, seed);
  const positive = POSITIVE.has(kernel) || POSITIVE.has(`${kernel} ${name}`);
  return positive ? floats.map((value) => 1.5 + value) : floats;
}

/** Puts a call's tensors on a backend. */
export function upload(
  {inputs}: KernelCall,
  from: Readonly<Record<string, TypedArray>>,
  backend: ReplayBackend,
): Tensors {
  return mapInputs(inputs as Record<string, TensorSpec>, ({dtype, shape}, name) => ({
    dataId: backend.write(from[name], shape, dtype),
    shape: [...shape],
    dtype,
  }));
}

export function release(tensors: Tensors, backend: ReplayBackend): void {
  for (const {dataId} of Object.values(tensors)) backend.disposeData(dataId);
}

/** The outputs; the caller releases them. */
export function runCall(
  {kernelFunc}: KernelConfig,
  {attrs}: KernelCall,
  inputs: Tensors,
  backend: ReplayBackend,
): TensorInfo[] {
  const run = kernelFunc as unknown as (call: object) => ReturnType<KernelFunc>;
  const outputs = run({inputs, attrs, backend});
  return Array.isArray(outputs) ? outputs : [outputs];
}

// These read no more of their tensor than they write.
const PICKING = new Set(['GatherNd', 'GatherV2', 'Slice', 'StridedSlice']);

/** The bytes that a call must read and write: each value once, and none of what is only seen in another shape. */
export function bytesMoved(
  {kernel, inputs}: KernelCall,
  tensors: Tensors,
  outputs: readonly TensorInfo[],
): number {
  const given = new Set(Object.values(tensors).map(({dataId}) => dataId));
  if (outputs.some(({dataId}) => given.has(dataId))) return 0;
  const written = outputs.reduce((sum, output) => sum + bytesOf(output), 0);
  const read = Object.entries(inputs).reduce((sum, [name, spec]: [string, TensorSpec]) => {
    const bytes = bytesOf(spec);
    const picked = PICKING.has(kernel) && !PLACES.has(name);
    return sum + (picked ? Math.min(bytes, written) : bytes);
  }, 0);
  return read + written;
}

function bytesOf({dtype, shape}: {readonly dtype: string; readonly shape: readonly number[]}): number {
  return sizeOf(shape) * (dtype === 'bool' ? 1 : 4);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
