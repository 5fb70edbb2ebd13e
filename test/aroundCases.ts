// Calls of kernels around a convolution, and what they come to on tfjs's cpu backend, which is their definition.

import {kernelsOf} from '../bench/wasmState.ts';
import {AROUND_KERNELS, planAround} from '../src/around.ts';
import type {AroundCall, AroundKernel, Work} from '../src/aroundKernel.ts';
import type {OpenBackend} from '../src/backend.ts';
import type {Flavour} from '../src/index.ts';
import {ServedBackend} from '../src/served.ts';
import {bytesOf, type Dtype, type TensorSpec} from '../src/tensorSpec.ts';
import {RECORD_KINDS} from '../src/wasm/around.ts';
import type {RecordKind} from '../src/wasm/aroundJob.ts';
import {WASM} from '../src/wasm/backend.ts';
import {EMBEDDED_KERNELS} from '../src/wasm/embedded.ts';
import {instantiateKernels, type KernelExports} from '../src/wasm/module.ts';
import {WasmState} from '../src/wasm/state.ts';
import {sharedBackend} from './sharedBackend.ts';
import {floats, size, tf} from './tf.ts';

export interface AroundCase {
  readonly kernelName: string;
  /** By tfjs's names, or a list. */
  readonly inputs: Readonly<Record<string, Operand>> | readonly Operand[];
  readonly attrs?: object;
  /** Values from -1 to 1, none of them odd. */
  readonly plain?: true;
}

export interface Operand extends TensorSpec {
  /** What its values follow from: its place among the operands if missing. */
  readonly seed?: number;
  readonly nonNegative?: true;
}

/** What a call came to: all that a user can see of it. */
export interface Outcome {
  readonly shape: readonly number[];
  readonly dtype: string;
  /** As they lie in memory, so that no NaN and no zero passes for another. */
  readonly bytes: string;
}

export const operand = (
  shape: readonly number[],
  dtype: Dtype = 'float32',
  more?: Omit<Operand, keyof TensorSpec>,
): Operand => ({shape, dtype, ...more});

/** Values of which no two neighbours are alike, with all that is odd about a float. */
export function valuesOf(own: Operand, place: number, plain = false): Float32Array | Int32Array | Uint8Array {
  const {shape, dtype, seed = place, nonNegative} = own;
  const values = floats(size(shape), seed);
  if (dtype === 'int32') return Int32Array.from(values, (value) => value * 2 ** 31);
  if (dtype === 'bool') return Uint8Array.from(values, (value) => (value > 0 ? 1 : 0));
  if (plain) return values;
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, -0, 1e-42, -3e9, 2.5e9, 0.5, -1.75, 1e19, 255.5, 0];
  const all = values.map((value, i) => (i % 5 === 3 ? odd[(i + seed) % odd.length] : value * 1000));
  return nonNegative ? all.map(Math.abs) : all;
}

function outcomeOf(tensor: tf.Tensor): Outcome {
  const data = tensor.dataSync();
  // The cpu backend keeps the values that it casts from.
  const values =
    tensor.dtype === 'float32'
      ? Float32Array.from(data)
      : tensor.dtype === 'int32'
        ? Int32Array.from(data)
        : data;
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('hex');
  return {shape: tensor.shape, dtype: tensor.dtype, bytes};
}

/** A case's operands in their order. */
export const operandsOf = ({inputs}: AroundCase): readonly Operand[] => Object.values(inputs);

/** A case's inputs as a kernel takes them. */
function inputsOf<T>(
  {inputs}: AroundCase,
  tensors: readonly T[],
): readonly T[] | Readonly<Record<string, T>> {
  if (Array.isArray(inputs)) return tensors;
  return Object.fromEntries(Object.keys(inputs).map((name, i) => [name, tensors[i]]));
}

/** Runs a kernel on the current backend. */
export function run(one: AroundCase): Outcome[] {
  const {kernelName, attrs} = one;
  const outcomes: Outcome[] = [];
  tf.tidy(() => {
    const tensors = operandsOf(one).map((operand, i) =>
      tf.tensor(valuesOf(operand, i, one.plain), [...operand.shape], operand.dtype),
    );
    // tfjs writes into the sizes of a split.
    const own = structuredClone(attrs) as tf.NamedAttrMap;
    const result = tf.engine().runKernel(kernelName, inputsOf(one, tensors) as tf.NamedTensorMap, own);
    for (const tensor of Array.isArray(result) ? result : [result])
      outcomes.push(outcomeOf(tensor as tf.Tensor));
  });
  return outcomes;
}

/** What tfjs's cpu backend makes of calls; it is the current one afterwards. */
export async function expectedOf(cases: readonly AroundCase[]): Promise<Outcome[][]> {
  await tf.setBackend('cpu');
  return cases.map(run);
}

/** @throws Error that shows both, if they differ. */
export function expectOutcome(one: AroundCase, got: readonly Outcome[], expected: readonly Outcome[]): void {
  if (JSON.stringify(got) === JSON.stringify(expected)) return;
  throw new Error(`${JSON.stringify(one)}:\n${JSON.stringify(got)}, not\n${JSON.stringify(expected)}`);
}

/** What a value may differ by from one that is expected; of infinities, zeros and others each only by itself if 0. */
export type Tolerance = (expected: number, output: number, i: number) => number;

/** The same but for the values of floats, where every NaN is like any other. @throws Error that shows the first. */
export function expectNear(
  one: AroundCase,
  got: readonly Outcome[],
  expected: readonly Outcome[],
  tolerance: Tolerance,
): void {
  expectOutcome(
    one,
    got.map((own) => ({...own, bytes: ''})),
    expected.map((own) => ({...own, bytes: ''})),
  );
  got.forEach((own, output) => {
    const other = expected[output];
    if (own.bytes === other.bytes) return;
    if (own.dtype !== 'float32') expectOutcome(one, got, expected);
    const values = floatsOf(own);
    floatsOf(other).forEach((value, i) => {
      if (Object.is(value, values[i]) || Math.abs(value - values[i]) <= tolerance(value, output, i)) return;
      throw new Error(`${JSON.stringify(one)}: value ${i} of ${output} is ${values[i]}, not ${value}`);
    });
  });
}

function floatsOf({bytes}: Outcome): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(bytes, 'hex')).buffer);
}

/** The wasm backend, served without leaving to tfjs what it copies as fast. */
export async function serveAll(simd: Flavour): Promise<ServedBackend> {
  const open = (await WASM.open(EMBEDDED_KERNELS, {simd, numThreads: 1})) as OpenBackend;
  const families = open.families.map((family) => ({...family, leaves: undefined}));
  const all: OpenBackend = Object.create(open, {families: {value: families}});
  return new ServedBackend(WASM, all, () => ({algorithm: 'auto', winograd: true}));
}

/** Runs the tasks of calls one by one, each on another of two instances of the kernels over one shared memory. */
export class ShuffledTasks {
  private readonly state: WasmState;
  private readonly instances: readonly KernelExports[];

  private constructor(state: WasmState, instances: readonly KernelExports[]) {
    this.state = state;
    this.instances = instances;
  }

  static async create(simd: Flavour): Promise<ShuffledTasks> {
    const memory = new WebAssembly.Memory({initial: 256, maximum: 256, shared: true});
    const modules = await kernelsOf(simd, true);
    const state = WasmState.create(sharedBackend(memory), modules);
    if (typeof state === 'string') throw new Error(state);
    return new ShuffledTasks(
      state,
      [0, 1].map(() => instantiateKernels(modules, memory, true) as KernelExports),
    );
  }

  /**
   * Five tasks, the last one first, whatever the call's size asks for.
   *
   * @returns Nothing if the call is tfjs's.
   * @throws Error if anything is written behind an output.
   */
  run(one: AroundCase): Outcome[] | undefined {
    const {heap} = this.state;
    const kernel = AROUND_KERNELS.find(({name}) => name === one.kernelName) as AroundKernel;
    const {inputs} = kernel;
    const all = {...one.inputs} as Readonly<Record<string, Operand>>;
    const operands = inputs === 'list' ? operandsOf(one) : inputs.map((name) => all[name]);
    const planned = kernel.plan(operands, one.attrs ?? {});
    if (typeof planned === 'string' || planned.outputs.every(({shape}) => size(shape) === 0)) return;
    const {outputs, work, scratchBytes} = planAround(planned);
    const tasks = 5;
    // The stand-in takes nothing back: from the bottom up, anew for each case.
    let free = 2 ** 16;
    const take = (bytes: number) => {
      const at = free;
      free += Math.ceil(bytes / 64) * 64 + 64;
      return at;
    };
    const place = Buffer.from(heap.memory.buffer);
    const kind = RECORD_KINDS[work.record] as RecordKind<Work>;
    const job = kind.create(heap, take(kind.bytes(work)), work, tasks);
    operands.forEach((own: Operand | undefined, n) => {
      job.inputs[n] = 0;
      if (own === undefined) return;
      const values = valuesOf(own, n, one.plain);
      job.inputs[n] = take(values.byteLength);
      place.set(new Uint8Array(values.buffer), job.inputs[n]);
    });
    const call = {inputs: inputsOf(one, operands), attrs: one.attrs, backend: {}} as unknown as AroundCall;
    if (kernel.offset !== undefined) job.inputs[0] += kernel.offset(call);
    const lengths = outputs.map(({shape, dtype}) => size(shape) * bytesOf(dtype));
    lengths.forEach((bytes, n) => {
      job.outputs[n] = take(bytes);
      place.fill(0xa5, job.outputs[n], job.outputs[n] + bytes + 64);
    });
    job.patch(heap.int32());
    if (kernel.value !== undefined) job.setValue?.(heap, Number(kernel.value(call)), outputs[0].dtype);
    const scratches = [0, 1].map(() => take(scratchBytes));
    for (let task = tasks - 1; task >= 0; --task) {
      this.instances[task % 2][kind.entry](job.offset, task, task + 1, scratches[task % 2]);
    }
    return outputs.map(({shape, dtype}, n) => {
      const at = job.outputs[n];
      const behind = place.subarray(at + lengths[n], at + lengths[n] + 64);
      if (!behind.every((byte) => byte === 0xa5)) throw new Error(`${JSON.stringify(one)}: written too far`);
      return {shape, dtype, bytes: place.toString('hex', at, at + lengths[n])};
    });
  }
}
