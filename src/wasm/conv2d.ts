import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {Activation} from '../activation.ts';
import type {ConvGeometry} from '../geometry.ts';
import type {OperandStrides} from '../operand.ts';
import type {Im2winPlan, WinogradPlan} from '../plan.ts';
import {EpilogueOperands} from './epilogue.ts';
import {im2winWorkspaceBytes, packIm2win, runIm2win} from './im2win.ts';
import type {KernelExports} from './module.ts';
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
  readonly panels: number;
  readonly workspace: number;
  readonly output: number;
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
  plan: Im2winPlan | WinogradPlan,
  tensors: ConvTensors,
  {activation, leakyreluAlpha}: ConvEpilogue,
): TensorInfo {
  if (geometry.outShape.includes(0)) return state.backend.makeOutput([...geometry.outShape], 'float32');

  // Everything that allocates comes first: the heap may grow, and its views with it.
  const x = dataOffset(state, 'x', tensors.x);
  const bias = placedOperand(state, 'bias', tensors.bias);
  const slope = placedOperand(state, 'preluActivationWeights', tensors.slope);
  const filter = dataOffset(state, 'filter', tensors.filter);
  const panels = state.filters.get(tensors.filter.dataId, plan.packing, plan.panelBytes, (offset) =>
    plan.algorithm === 'winograd'
      ? packWinograd(state.kernels, geometry, plan, offset, filter)
      : packIm2win(state.kernels, geometry, plan, offset, filter),
  );
  const workspace = state.workspace.reserve(
    plan.algorithm === 'winograd' ? winogradWorkspaceBytes(plan) : im2winWorkspaceBytes(plan),
  );
  const output = makeOutput(state, geometry);

  const run: ConvRun = {
    kernels: state.kernels,
    geometry,
    x,
    panels,
    workspace,
    output: output.offset,
    epilogue: new EpilogueOperands(activation, leakyreluAlpha, bias, slope),
    ints: state.heap.int32(),
    floats: state.heap.float32(),
  };
  if (plan.algorithm === 'winograd') runWinograd(run, plan);
  else runIm2win(run, plan);
  return output.tensor;
}

function placedOperand(state: WasmState, name: string, operand: ConvOperand | undefined) {
  return operand && {offset: dataOffset(state, name, operand.tensor), strides: operand.strides};
}

function makeOutput(state: WasmState, geometry: ConvGeometry): {tensor: TensorInfo; offset: number} {
  const {backend, heap} = state;
  const tensor = backend.makeOutput([...geometry.outShape], 'float32');
  const offset = backend.dataIdMap.get(tensor.dataId).memoryOffset ?? 0;
  if (offset === 0) {
    backend.disposeData(tensor.dataId, true);
    throw new Error(
      `im2win: out of memory: an output of shape [${geometry.outShape}] does not fit in tfjs's heap of ` +
        `${heap.memory.buffer.byteLength} bytes (${heap.ownBytes} of them im2win's).`,
    );
  }
  return {tensor, offset};
}

/** Where a tensor's data lies; moves it here first if another backend has it. */
function dataOffset(state: WasmState, name: string, tensor: TensorInfo): number {
  const offset = state.backend.dataIdMap.get(tensor.dataId).memoryOffset;
  const size = tensor.shape.reduce((a, b) => a * b, 1);
  if (size > 0 && !offset) {
    throw new Error(
      `im2win: out of memory: ${name} of shape [${tensor.shape}] did not fit in tfjs's heap of ` +
        `${state.heap.memory.buffer.byteLength} bytes.`,
    );
  }
  return offset ?? 0;
}
