import type {TensorInfo} from '@tensorflow/tfjs-core';
import type {Activation} from '../activation.ts';
import type {ConvGeometry} from '../geometry.ts';
import type {OperandStrides} from '../operand.ts';
import type {Im2winPlan} from '../plan.ts';
import {CALL_BYTES, type CallOperand, ConvCall} from './convCall.ts';
import type {WasmState} from './state.ts';

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
  plan: Im2winPlan,
  tensors: ConvTensors,
  epilogue: ConvEpilogue,
): TensorInfo {
  const outSize = geometry.outShape.reduce((a, b) => a * b, 1);
  if (outSize === 0) return state.backend.makeOutput([...geometry.outShape], 'float32');

  // Everything that allocates comes first: the heap may grow, and its views with it.
  const x = dataOffset(state, 'x', tensors.x);
  const bias = operandOffset(state, 'bias', tensors.bias);
  const slope = operandOffset(state, 'preluActivationWeights', tensors.slope);
  const panels = packedFilter(state, geometry, plan, tensors.filter);
  const workspace = state.workspace.reserve(CALL_BYTES + plan.stripBytes);
  const output = makeOutput(state, geometry);

  const call = new ConvCall(workspace, state.heap.int32(), state.heap.float32());
  call.writeActivation(epilogue.activation, epilogue.leakyreluAlpha);
  const strips = workspace + CALL_BYTES;
  const gemm = state.kernels[`im2win_gemm_${plan.tile.mr}x${plan.tile.nr}` as 'im2win_gemm_6x8'];
  if (gemm === undefined) throw new Error(`im2win: no tile ${plan.tile.mr}x${plan.tile.nr} in this build.`);

  const {outHeight, outWidth, outChannels, inHeight, inWidth, inChannels, filterHeight} = geometry;
  const {strip} = plan;
  const merged = imagesMerge(geometry, plan, tensors);
  const images = merged ? 1 : geometry.batchSize;
  const rowsPerImage = merged ? geometry.batchSize * outHeight : outHeight;
  const imageBytes = 4 * inHeight * inWidth * inChannels;

  for (let phase = 0; phase < strip.phases && phase < outWidth; ++phase) {
    const rowLength = Math.ceil((outWidth - phase) / strip.phases);
    call.writeWindows({
      depth: strip.depth,
      outChannels,
      panels,
      rowLength,
      windowStride: strip.windowStride,
      windowRowStride: strip.windowRowStride,
      outPixelStride: strip.phases * outChannels,
      outRowStride: outWidth * outChannels,
    });
    const firstColumn = phase * geometry.strideWidth - geometry.padLeft;
    const groups = strip.grouped ? rowLength : 1;
    const columns = strip.grouped
      ? geometry.filterWidth
      : (rowLength - 1) * (strip.windowStep / strip.columnStep) + geometry.filterWidth;

    for (let image = 0; image < images; ++image) {
      for (let row = 0; row < rowsPerImage; row += plan.rowsPerBlock) {
        const rows = Math.min(plan.rowsPerBlock, rowsPerImage - row);
        const at = {image, row, phase, phases: strip.phases};
        call.writeBias(operandAt(bias, tensors.bias?.strides, at));
        call.writeSlope(
          epilogue.activation === 'leakyrelu'
            ? call.leakySlope()
            : operandAt(slope, tensors.slope?.strides, at),
        );
        const firstOutRow = image * outHeight + row;
        let a = strips;
        if (strip.inPlace) {
          a = x + image * imageBytes + 4 * row * strip.windowRowStride;
        } else {
          for (let r = 0; r < rows; ++r) {
            const outRow = firstOutRow + r;
            const batch = Math.floor(outRow / outHeight);
            state.kernels.im2win_strip(
              strips + 4 * r * strip.windowRowStride,
              x + batch * imageBytes,
              inHeight,
              inWidth,
              inChannels,
              filterHeight,
              (outRow - batch * outHeight) * geometry.strideHeight - geometry.padTop,
              geometry.dilationHeight,
              firstColumn,
              strip.columnStep,
              columns,
              strip.windowStep,
              groups,
            );
          }
        }
        gemm(call.offset, a, output.offset + 4 * outChannels * (firstOutRow * outWidth + phase), rows);
      }
    }
  }
  return output.tensor;
}

/**
 * Whether the rows of all images can be counted through as if they were one
 * image's: a block may then hold rows of several small images.
 */
function imagesMerge(geometry: ConvGeometry, plan: Im2winPlan, tensors: ConvTensors): boolean {
  const operandsGoOn = [tensors.bias, tensors.slope].every(
    (operand) => operand === undefined || operand.strides.batch === geometry.outHeight * operand.strides.row,
  );
  const rowsGoOn = !plan.strip.inPlace || geometry.inHeight === geometry.outHeight * geometry.strideHeight;
  return operandsGoOn && rowsGoOn;
}

interface BlockPlace {
  readonly image: number;
  readonly row: number;
  readonly phase: number;
  readonly phases: number;
}

const NO_OPERAND: CallOperand = {data: 0, rowStride: 0, pixelStride: 0, channelStride: 0};

function operandAt(offset: number, strides: OperandStrides | undefined, at: BlockPlace): CallOperand {
  if (strides === undefined) return NO_OPERAND;
  return {
    data: offset + 4 * (at.image * strides.batch + at.row * strides.row + at.phase * strides.pixel),
    rowStride: strides.row,
    pixelStride: at.phases * strides.pixel,
    channelStride: strides.channel,
  };
}

function packedFilter(
  state: WasmState,
  geometry: ConvGeometry,
  plan: Im2winPlan,
  filter: TensorInfo,
): number {
  const from = dataOffset(state, 'filter', filter);
  return state.filters.get(filter.dataId, plan.packing, plan.panelBytes, (panels) => {
    const {filterHeight, filterWidth, inChannels, outChannels} = geometry;
    state.kernels.im2win_pack(panels, from, filterHeight, filterWidth, inChannels, outChannels);
  });
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

function operandOffset(state: WasmState, name: string, operand: ConvOperand | undefined): number {
  return operand === undefined ? 0 : dataOffset(state, name, operand.tensor);
}

/** Where a tensor's data lies; moves it here first if another backend has it. */
function dataOffset(state: WasmState, name: string, tensor: TensorInfo): number {
  const offset = state.backend.dataIdMap.get(tensor.dataId).memoryOffset;
  const size = tensor.shape.reduce((a, b) => a * b, 1);
  if (size > 0 && !offset) {
    throw new Error(`im2win: out of memory: ${name} of shape [${tensor.shape}] did not fit in tfjs's heap.`);
  }
  return offset ?? 0;
}
