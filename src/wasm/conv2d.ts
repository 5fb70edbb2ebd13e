import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {Activation} from '../activation.ts';
import type {ConvGeometry} from '../geometry.ts';
import {floatBytes} from '../limits.ts';
import type {OperandStrides} from '../operand.ts';
import type {ConvPlan} from '../plan.ts';
import {depthwiseWorkspaceBytes, runDepthwise} from './depthwise.ts';
import {EpilogueOperands} from './epilogue.ts';
import {aligned, type Heap} from './heap.ts';
import {im2winWorkspaceBytes, packIm2win, runIm2win} from './im2win.ts';
import type {KernelExports} from './module.ts';
import {denseOutput, type OutputPlace, planarOutput} from './output.ts';
import type {WasmState} from './state.ts';
import {packWinograd, runWinograd, winogradWorkspaceBytes} from './winograd.ts';

/** A bias or prelu slope, and how it is spread over the output. */
export interface ConvOperand {
  readonly tensor: TensorInfo;
  readonly strides: OperandStrides;
}

export interface ConvTensors {
  readonly x: TensorInfo;
  readonly filter: TensorInfo;
  readonly bias?: ConvOperand;
  readonly slope?: ConvOperand;
}

export interface ConvEpilogue {
  readonly activation: Activation;
  readonly leakyreluAlpha: number;
}

/** A convolution whose memory is all there; offsets are in bytes. */
export interface ConvRun {
  readonly kernels: KernelExports;
  readonly geometry: ConvGeometry;
  readonly x: number;
  /** Packed, where the plan says so. */
  readonly filter: number;
  readonly workspace: number;
  readonly output: OutputPlace;
  readonly epilogue: EpilogueOperands;
  readonly ints: Int32Array;
  readonly floats: Float32Array;
}

/**
 * Runs a planned convolution on the wasm backend's heap.
 *
 * @returns A new float32 tensor of the geometry's `outShape`.
 * @throws Error if out of memory; what the call had taken is given back, and
 *     the backend can be used on.
 */
export function runConv2d(
  state: WasmState,
  geometry: ConvGeometry,
  plan: ConvPlan,
  tensors: ConvTensors,
  {activation, leakyreluAlpha}: ConvEpilogue,
): TensorInfo {
  if (geometry.outShape.includes(0)) return state.backend.makeOutput([...geometry.outShape], 'float32');

  // Everything that allocates comes first: the heap may grow, and its views with it.
  const x = dataOffset(state, 'x', tensors.x);
  const bias = placedOperand(state, 'bias', tensors.bias);
  const slope = placedOperand(state, 'preluActivationWeights', tensors.slope);
  const integers =
    tensors.slope && tensors.slope.tensor.dtype !== 'float32' ? tensors.slope.tensor : undefined;
  const filter = dataOffset(state, 'filter', tensors.filter);
  const kept = keptFilter(state, geometry, plan, tensors.filter, filter);
  const block = scratchBytes(plan);
  const scratch = block + aligned(plan.blockBytes);
  const repacked = kept === undefined && plan.algorithm !== 'depthwise' ? plan.panelBytes : 0;
  const floatSlopes = integers === undefined ? 0 : aligned(floatBytes(integers.shape));
  const workspace = state.workspace.reserve(scratch + repacked + floatSlopes);
  const output = makeOutput(state, geometry.outShape);
  const slopes =
    slope && integers
      ? {...slope, offset: writeFloats(state.heap, integers, slope.offset, workspace + scratch + repacked)}
      : slope;

  const run: ConvRun = {
    kernels: state.kernels,
    geometry,
    x,
    filter: kept ?? workspace + scratch,
    workspace,
    output:
      geometry.dataFormat === 'NHWC'
        ? denseOutput(output.offset, geometry)
        : planarOutput(output.offset, workspace + block, geometry),
    epilogue: new EpilogueOperands(activation, leakyreluAlpha, bias, slopes),
    ints: state.heap.int32(),
    floats: state.heap.float32(),
  };
  if (kept === undefined) packFilter(state.kernels, geometry, plan, run.filter, filter);
  if (plan.algorithm === 'winograd') runWinograd(run, plan);
  else if (plan.algorithm === 'im2win') runIm2win(run, plan);
  else runDepthwise(run, plan);
  return output.tensor;
}

/** Integer or boolean values as floats. @returns Where they were written. */
function writeFloats({memory}: Heap, {shape, dtype}: TensorInfo, from: number, to: number): number {
  const count = floatBytes(shape) / 4;
  const Values = dtype === 'bool' ? Uint8Array : Int32Array;
  new Float32Array(memory.buffer, to >>> 0, count).set(new Values(memory.buffer, from >>> 0, count));
  return to;
}

/** The filter as the kernel reads it, or `undefined` where the call has to pack it first. */
function keptFilter(
  {filters, kernels}: WasmState,
  geometry: ConvGeometry,
  plan: ConvPlan,
  {dataId}: TensorInfo,
  filter: number,
): number | undefined {
  if (plan.algorithm === 'depthwise') return filter;
  if (plan.repacks) return undefined;
  return filters.get(dataId, {
    packing: plan.packing,
    bytes: plan.panelBytes,
    keptBytes: plan.keptBytes,
    pack: (offset) => packFilter(kernels, geometry, plan, offset, filter),
  });
}

/** Packs the filter at byte offset `filter` to `to`. */
export function packFilter(
  kernels: KernelExports,
  geometry: ConvGeometry,
  plan: ConvPlan,
  to: number,
  filter: number,
): void {
  if (plan.algorithm === 'winograd') packWinograd(kernels, geometry, plan, to, filter);
  if (plan.algorithm === 'im2win') packIm2win(kernels, geometry, plan, to, filter);
}

/** What the kernels need beside a block of NCHW's output. */
function scratchBytes(plan: ConvPlan): number {
  return aligned(
    plan.algorithm === 'winograd'
      ? winogradWorkspaceBytes(plan)
      : plan.algorithm === 'im2win'
        ? im2winWorkspaceBytes(plan)
        : depthwiseWorkspaceBytes(plan),
  );
}

function placedOperand(state: WasmState, name: string, operand: ConvOperand | undefined) {
  return operand && {offset: dataOffset(state, name, operand.tensor), strides: operand.strides};
}

export function makeOutput(state: WasmState, shape: readonly number[]): {tensor: TensorInfo; offset: number} {
  const {backend, heap} = state;
  const tensor = backend.makeOutput([...shape], 'float32');
  const offset = backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0;
  if (offset === 0) {
    backend.disposeData(tensor.dataId, true);
    throw new Error(
      `im2win: out of memory: an output of shape [${shape}] does not fit in tfjs's heap of ` +
        `${heap.memory.buffer.byteLength} bytes (${heap.ownBytes} of them im2win's).`,
    );
  }
  return {tensor, offset};
}

/** Where a tensor's data lies; moves it here first if another backend has it. */
export function dataOffset(state: WasmState, name: string, tensor: TensorInfo): number {
  const offset = state.backend.dataIdMap.get(tensor.dataId).memoryOffset;
  if (floatBytes(tensor.shape) > 0 && !offset) {
    throw new Error(
      `im2win: out of memory: ${name} of shape [${tensor.shape}] did not fit in tfjs's heap of ` +
        `${state.heap.memory.buffer.byteLength} bytes.`,
    );
  }
  return offset ?? 0;
}
