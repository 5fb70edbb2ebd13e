import type {TensorInfo} from '@tensorflow/tfjs-core';
import {type Activation, checkActivation} from './activation.ts';
import {InvalidArgument, namingOp} from './describe.ts';
import {type ConvAttributes, type ConvGeometry, convGeometry} from './geometry.ts';
import {planGradient} from './gradientPlan.ts';
import {checkWasmLimits} from './limits.ts';
import {type OperandStrides, operandStrides} from './operand.ts';
import type {Plan, PlanContext} from './plan.ts';
import {planOurs} from './planner.ts';
import {whyStock, whyStockGradient} from './policy.ts';
import {essential} from './taps.ts';
import type {ConvKernel, Im2winBackend} from './tfjsKernels.ts';
import {IM2WIN_CONV_2D} from './tfjsKernels.ts';

/** The inputs of every kernel that is ours or rerouted. */
export interface ConvInputs {
  /** Missing in the gradient with respect to it. */
  readonly x?: TensorInfo;
  /**
   * `[filterHeight, filterWidth, inChannels, outChannels]`, or of a depthwise convolution
   * `[filterHeight, filterWidth, inChannels, channelMultiplier]`.
   */
  readonly filter?: TensorInfo;
  /** The gradient with respect to the output, in gradients. */
  readonly dy?: TensorInfo;
  /** Broadcasts to the output. */
  readonly bias?: TensorInfo;
  /** Slopes of `prelu`, which broadcast to the output. */
  readonly preluActivationWeights?: TensorInfo;
}

/** The attributes of the kernels that take {@link ConvInputs}. */
export interface FusedConvAttributes extends ConvAttributes {
  /** One of {@link Activation}; `'linear'` if missing. */
  readonly activation?: string;
  /** 0.2 if missing, as in tfjs's op. */
  readonly leakyreluAlpha?: number;
  /** The shapes that a gradient is given in place of a tensor. */
  readonly inputShape?: number[];
  readonly filterShape?: number[];
}

/** One distinct convolution that was seen, and what became of it. */
export interface ConvolutionRecord {
  /** As tfjs names it: `Conv2D`, `FusedDepthwiseConv2D`, `Conv2DBackpropInput`, …; or `Im2winConv2D`. */
  readonly kernelName: string;
  readonly backend: Im2winBackend;
  readonly xShape: readonly number[];
  readonly filterShape: readonly number[];
  readonly outShape: readonly number[];
  /** Height, width. */
  readonly strides: readonly [number, number];
  /** Height, width. */
  readonly dilations: readonly [number, number];
  readonly pad: ConvAttributes['pad'];
  readonly dataFormat: 'NHWC' | 'NCHW';
  readonly activation: Activation;
  /** Whether a bias was fused into the call. */
  readonly bias: boolean;
  readonly algorithm: Plan['algorithm'];
  /** Why the stock kernel was used; missing where it was not. */
  readonly reason?: string;
  readonly calls: number;
}

/** Everything that is the same in each call of one distinct convolution. */
export interface Route {
  /** The convolution that was asked for. */
  readonly asked: ConvGeometry;
  /** What it comes to, which is planned and computed; of gradients the same. */
  readonly geometry: ConvGeometry;
  readonly plan: Plan;
  readonly activation: Activation;
  readonly bias?: OperandStrides;
  readonly slope?: OperandStrides;
}

/** One distinct convolution: what it is known by, and what is known of it. */
interface Seen {
  readonly call: readonly CallPart[];
  readonly route: Route;
  readonly record: ConvolutionRecord & {calls: number};
  /** What came after it the last times: two, for a block of a network that is left after some rounds. */
  next: readonly Seen[];
  forgotten?: true;
}

/**
 * The convolutions seen so far, each planned once. Bounded: beyond `limit`
 * distinct ones, the one first seen is forgotten. A network makes its calls in the
 * same order each time, so each is first compared with those that followed the last
 * times; only where that fails is it looked up.
 */
export class Routes {
  private readonly seen = new Map<string, Seen>();
  private readonly signature = new CallSignature();
  private last: Seen | undefined;
  private readonly backend: Im2winBackend;
  private readonly onForgotten: (route: Route) => void;
  private readonly limit: number;

  constructor(backend: Im2winBackend, onForgotten: (route: Route) => void = () => {}, limit = 1000) {
    this.backend = backend;
    this.onForgotten = onForgotten;
    this.limit = limit;
  }

  /**
   * The route of a call, which is counted.
   *
   * @throws Error if a shape, a dtype or an attribute is not one a convolution
   *     can have.
   */
  find(kernel: ConvKernel, inputs: ConvInputs, attributes: FusedConvAttributes, context: PlanContext): Route {
    this.signature.take(kernel.name, inputs, attributes, context);
    const next = this.last?.next ?? [];
    let found = next.find((seen) => seen.forgotten === undefined && this.signature.is(seen.call));
    if (found === undefined) {
      found = this.lookUp(kernel, inputs, attributes, context);
      if (this.last !== undefined) this.last.next = [found, ...next.slice(0, 1)];
    }
    this.last = found;
    ++found.record.calls;
    return found.route;
  }

  private lookUp(
    kernel: ConvKernel,
    inputs: ConvInputs,
    attributes: FusedConvAttributes,
    context: PlanContext,
  ): Seen {
    const call = this.signature.parts();
    const key = call.join('|');
    const known = this.seen.get(key);
    if (known !== undefined) return known;
    const route = namingOp(`im2win: ${kernel.op}`, () => makeRoute(kernel, inputs, attributes, context));
    if (this.seen.size >= this.limit) {
      const [[oldest, forgotten]] = this.seen;
      forgotten.forgotten = true;
      forgotten.next = []; // Else one forgotten would keep the next.
      this.seen.delete(oldest);
      this.onForgotten(forgotten.route);
    }
    const record = makeRecord(this.backend, kernel.name, inputs, attributes, route);
    const seen: Seen = {call, route, record: {...record, calls: 0}, next: []};
    this.seen.set(key, seen);
    return seen;
  }

  /** The records, in the order in which they were first seen. */
  report(): ConvolutionRecord[] {
    const records = new Map<string, ConvolutionRecord & {calls: number}>();
    for (const {record} of this.seen.values()) {
      // Routes that differ in what was asked for, but not in what was done, are one record.
      const key = JSON.stringify({...record, calls: 0});
      const known = records.get(key);
      if (known === undefined) records.set(key, {...record});
      else known.calls += record.calls;
    }
    return [...records.values()];
  }
}

type CallPart = string | number | boolean | null | undefined;

/**
 * What tells one convolution from another, part by part, in an array that is used
 * again: a string of it would take longer than all else before the kernel.
 */
class CallSignature {
  private readonly taken: CallPart[] = [];
  private count = 0;

  take(kernelName: string, inputs: ConvInputs, attributes: FusedConvAttributes, context: PlanContext): void {
    const {pad} = attributes;
    this.count = 0;
    this.add(kernelName);
    this.tensor(inputs.x);
    if (inputs.x == null) this.list(attributes.inputShape);
    this.tensor(inputs.filter);
    if (inputs.filter == null) this.list(attributes.filterShape);
    this.tensor(inputs.dy);
    this.tensor(inputs.bias);
    this.tensor(inputs.preluActivationWeights);
    this.list(attributes.strides);
    // '1' is no pad, and 1 is.
    this.add(typeof pad);
    this.add(typeof pad === 'object' ? String(pad) : pad);
    this.list(attributes.dilations);
    this.add(attributes.dataFormat);
    this.add(attributes.dimRoundingMode);
    this.add(attributes.activation);
    this.add(context.algorithm);
    this.add(context.winograd);
    this.add(context.maxPackedFilterBytes);
    if (context.backend === 'cpu') return;
    this.add(context.flavour);
    this.add(context.threads);
    this.add(context.unavailable);
  }

  is(call: readonly CallPart[]): boolean {
    if (call.length !== this.count) return false;
    for (let i = 0; i < call.length; ++i) {
      if (call[i] !== this.taken[i]) return false;
    }
    return true;
  }

  parts(): CallPart[] {
    return this.taken.slice(0, this.count);
  }

  private add(part: CallPart): void {
    this.taken[this.count++] = part;
  }

  private tensor(tensor: TensorInfo | null | undefined): void {
    this.add(tensor?.dtype);
    this.list(tensor?.shape);
  }

  private list(values: readonly number[] | number | null | undefined): void {
    if (values == null || typeof values !== 'object') {
      this.add(values);
      return;
    }
    this.add(values.length);
    for (const value of values) this.add(value);
  }
}

/** @throws InvalidArgument if a shape, a dtype or an attribute is not one a convolution can have. */
function makeRoute(
  kernel: ConvKernel,
  inputs: ConvInputs,
  attributes: FusedConvAttributes,
  context: PlanContext,
): Route {
  const {xShape, filterShape} = shapesOf(kernel, inputs, attributes);
  // What makes a transposed convolution's output is the input of the convolution that it transposes.
  const xName = kernel.computes === 'inputGradient' ? 'outputShape' : 'x';
  const asked = convGeometry(xShape, filterShape, attributes, {depthwise: kernel.depthwise, xName});
  const shapes = {
    [kernel.computes === 'inputGradient' ? 'an output' : 'x']: xShape,
    filter: filterShape,
    [kernel.computes === 'output' ? 'an output' : 'dy']: asked.outShape,
  };
  if (kernel.computes !== 'output') {
    if (context.backend === 'wasm') checkWasmLimits(asked, shapes);
    return gradientRoute(kernel, inputs, asked, context);
  }
  const {bias, preluActivationWeights}: ConvInputs = kernel.fused ? inputs : {};
  const activation = checkActivation(
    kernel.fused ? attributes.activation : undefined,
    preluActivationWeights != null,
  );
  const geometry = essential(asked);
  if (context.backend === 'wasm') checkWasmLimits(geometry, shapes);
  const reason = kernel.name === IM2WIN_CONV_2D ? undefined : whyStock(asked, context);
  const dtype = otherDtype(inputs);
  // The cpu kernel takes other dtypes; the wasm kernel would read them as floats.
  const left = context.backend === 'cpu' && kernel.name !== IM2WIN_CONV_2D ? (dtype ?? reason) : reason;
  if (left === undefined || context.backend === 'wasm') checkFloats(inputs);
  if (left !== undefined) return {asked, geometry, activation, plan: {algorithm: 'stock', reason: left}};
  return {
    asked,
    geometry,
    activation,
    plan: planOurs(geometry, context),
    bias: bias == null ? undefined : operandStrides('bias', bias.shape, asked),
    slope:
      preluActivationWeights == null || activation !== 'prelu'
        ? undefined
        : operandStrides('preluActivationWeights', preluActivationWeights.shape, asked),
  };
}

/** @throws InvalidArgument if an input is missing. */
function shapesOf(
  {computes}: ConvKernel,
  inputs: ConvInputs,
  {inputShape, filterShape}: FusedConvAttributes,
) {
  const shape = (name: 'x' | 'filter' | 'dy'): readonly number[] => {
    const tensor = inputs[name];
    if (tensor == null) throw new InvalidArgument(`${name} is ${tensor}; allowed: a tensor.`);
    return tensor.shape;
  };
  if (computes !== 'output') shape('dy');
  return {
    xShape: computes === 'inputGradient' ? (inputShape ?? []) : shape('x'),
    filterShape: computes === 'filterGradient' ? (filterShape ?? []) : shape('filter'),
  };
}

function gradientRoute(
  kernel: ConvKernel,
  inputs: ConvInputs,
  geometry: ConvGeometry,
  context: PlanContext,
): Route {
  const reason = otherDtype(inputs) ?? otherOutput(inputs, geometry);
  if (reason !== undefined && context.backend === 'cpu') {
    return {asked: geometry, geometry, activation: 'linear', plan: {algorithm: 'stock', reason}};
  }
  checkFloats(inputs);
  checkGradient(inputs, geometry);
  const left = reason ?? whyStockGradient(context);
  const plan: Plan =
    left === undefined
      ? planGradient(geometry, kernel.computes === 'inputGradient' ? 'input' : 'filter', context)
      : {algorithm: 'stock', reason: left};
  return {asked: geometry, geometry, activation: 'linear', plan};
}

/** @throws InvalidArgument if dy ends before the output does: tfjs's wasm kernel would read on behind it. */
function checkGradient({dy}: ConvInputs, {outShape, dataFormat}: ConvGeometry): void {
  const shape = dy?.shape ?? [];
  const [batch, channels, ...sides] = dataFormat === 'NHWC' ? [0, 3, 1, 2] : [0, 1, 2, 3];
  const fits =
    shape.length === 4 &&
    shape[batch] === outShape[batch] &&
    shape[channels] === outShape[channels] &&
    sides.every((d) => shape[d] >= outShape[d]);
  if (!fits) {
    throw new InvalidArgument(
      `dy (the input of a transposed convolution) has shape [${shape}]; allowed: the shape of the ` +
        `convolution's output, [${outShape}].`,
    );
  }
}

/** tfjs's kernels take a larger dy and read the corner that they need; on cpu a smaller one, too. */
function otherOutput({dy}: ConvInputs, {outShape}: ConvGeometry): string | undefined {
  return dy?.shape.join() === outShape.join()
    ? undefined
    : `dy has shape [${dy?.shape}], and the output [${outShape}]`;
}

/** @throws InvalidArgument if an input is not float32; slopes may be integers, as tfjs's op lets them pass. */
function checkFloats(inputs: ConvInputs): void {
  const dtype = otherDtype(inputs);
  if (dtype !== undefined) throw new InvalidArgument(`${dtype}; allowed: float32.`);
}

function otherDtype({preluActivationWeights, ...inputs}: ConvInputs): string | undefined {
  for (const [name, tensor] of Object.entries(inputs) as [string, TensorInfo | undefined][]) {
    if (tensor != null && tensor.dtype !== 'float32') return `${name} has dtype ${tensor.dtype}`;
  }
  const slopes = preluActivationWeights?.dtype ?? 'float32';
  if (!SLOPE_DTYPES.includes(slopes)) return `preluActivationWeights has dtype ${slopes}`;
  return undefined;
}

const SLOPE_DTYPES: readonly string[] = ['float32', 'int32', 'bool'];

function makeRecord(
  backend: Im2winBackend,
  kernelName: string,
  {x, filter, bias}: ConvInputs,
  {pad, inputShape = [], filterShape = []}: FusedConvAttributes,
  {asked: geometry, plan, activation}: Route,
): Omit<ConvolutionRecord, 'calls'> {
  return {
    kernelName,
    backend,
    xShape: [...(x?.shape ?? inputShape)],
    filterShape: [...(filter?.shape ?? filterShape)],
    outShape: [...geometry.outShape],
    strides: [geometry.strideHeight, geometry.strideWidth],
    dilations: [geometry.dilationHeight, geometry.dilationWidth],
    pad: copyOf(pad),
    dataFormat: geometry.dataFormat,
    activation,
    bias: bias != null,
    algorithm: plan.algorithm,
    ...(plan.algorithm === 'stock' ? {reason: plan.reason} : {}),
  };
}

function copyOf(pad: ConvAttributes['pad']): ConvAttributes['pad'] {
  return typeof pad === 'object' ? (pad.map((side) => [...side]) as typeof pad) : pad;
}
