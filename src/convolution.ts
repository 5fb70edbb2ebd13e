// The family of convolutions and their gradients.
import type {TensorInfo} from '@tensorflow/tfjs-core';
import {
  type Activation,
  type ActivationAttributes,
  type ActivationConstants,
  activationConstants,
  checkActivation,
} from './activation.ts';
import type {ConvKernel} from './convKernels.ts';
import {InvalidArgument} from './describe.ts';
import type {Call, CallContext, Family, OwnRoute, Route} from './family.ts';
import {type ConvAttributes, type ConvGeometry, convGeometry} from './geometry.ts';
import {planGradient} from './gradientPlan.ts';
import {type OperandStrides, operandStrides, residualStrides} from './operand.ts';
import type {Plan} from './plan.ts';
import {planOurs} from './planner.ts';
import {type StockKernels, whyStock} from './policy.ts';
import type {KernelRecord} from './routes.ts';
import type {Signature} from './signature.ts';
import {asOnePixel, essential} from './taps.ts';

/** The inputs of the convolution kernels. */
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
  /** Of this package's own kernels: a tensor of the output's shape that is added to it. */
  readonly residual?: TensorInfo;
}

/** The attributes of the kernels that take {@link ConvInputs}. */
export interface FusedConvAttributes extends ConvAttributes, ActivationAttributes {
  /** One of {@link Activation}; `'linear'` if missing. */
  readonly activation?: string;
  /** 0.2 if missing, as in tfjs's op. */
  readonly leakyreluAlpha?: number;
  /** Whether the residual is added to what the activation makes of the rest; else it is added before. */
  readonly residualAfterActivation?: boolean;
  /** The shapes that a gradient is given in place of a tensor. */
  readonly inputShape?: number[];
  readonly filterShape?: number[];
}

/** One distinct convolution that was seen, and what became of it. */
export interface ConvolutionRecord extends KernelRecord {
  /** As tfjs names it: `Conv2D`, `FusedDepthwiseConv2D`, `Conv2DBackpropInput`, …; or `Im2winConv2D`. */
  readonly kernelName: string;
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
  /** There, and true, where a residual was. */
  readonly residual?: true;
  readonly algorithm: Plan['algorithm'] | 'stock';
}

export type ConvCall = Call<ConvInputs, FusedConvAttributes>;

/** A convolution that was asked for, and how it is computed. */
export type ConvRoute = {
  readonly asked: ConvGeometry;
  /** What is planned and computed: `asked` without taps that see nothing, and for gradients `asked` itself. */
  readonly geometry: ConvGeometry;
  readonly activation: Activation;
  readonly constants?: ActivationConstants;
  readonly bias?: OperandStrides;
  readonly slope?: OperandStrides;
  readonly residual?: OperandStrides;
  readonly residualAfterActivation?: boolean;
} & Route<Plan>;

/** What differs from backend to backend. */
export interface ConvBackend extends Pick<ConvFamily, 'kernels' | 'compute'> {
  readonly stock: StockKernels;
  /**
   * @param shapes Of the tensors that the call takes and makes, by the names that errors give them.
   * @throws InvalidArgument if the backend cannot hold them, or its kernels cannot count so far.
   */
  checkLimits?(geometry: ConvGeometry, shapes: Readonly<Record<string, readonly number[]>>): void;
}

type ConvFamily = Family<ConvKernel, ConvCall, ConvRoute>;
export type OwnConvRoute = OwnRoute<ConvRoute>;

export function convolutions(backend: ConvBackend): Family {
  const family: ConvFamily = {
    kernels: backend.kernels,
    sign,
    plan: (kernel, call, context) => makeRoute(backend, kernel, call, context),
    record,
    compute: backend.compute,
  };
  return family;
}

function sign(signature: Signature, {inputs, attrs}: ConvCall, kernel: ConvKernel): void {
  const {pad} = attrs;
  signature.tensor(inputs.x);
  if (inputs.x == null) signature.list(attrs.inputShape);
  signature.tensor(inputs.filter);
  if (inputs.filter == null) signature.list(attrs.filterShape);
  signature.tensor(inputs.dy);
  signature.tensor(inputs.bias);
  signature.tensor(inputs.preluActivationWeights);
  signature.list(attrs.strides);
  // The pad 1 is one, and '1' is an error.
  signature.add(typeof pad);
  signature.add(typeof pad === 'object' ? String(pad) : pad);
  signature.list(attrs.dilations);
  signature.add(attrs.dataFormat);
  signature.add(attrs.dimRoundingMode);
  signature.add(attrs.activation);
  if (!kernel.own) return;
  signature.tensor(inputs.residual);
  signature.add(attrs.residualAfterActivation);
  signature.add(attrs.hardsigmoidAlpha);
  signature.add(attrs.hardsigmoidBeta);
  signature.add(attrs.clipMin);
  signature.add(attrs.clipMax);
}

/** @throws InvalidArgument if a shape, a dtype or an attribute is not one a convolution can have. */
function makeRoute(
  backend: ConvBackend,
  kernel: ConvKernel,
  {inputs, attrs}: ConvCall,
  context: CallContext,
): ConvRoute {
  const {xShape, filterShape} = shapesOf(kernel, inputs, attrs);
  const ofInput = kernel.computes === 'inputGradient';
  const isGradient = kernel.computes !== 'output';
  // A transposed convolution's output has the shape of the input of the convolution that it transposes.
  const xName = ofInput ? 'outputShape' : 'x';
  const asked = convGeometry(xShape, filterShape, attrs, {depthwise: kernel.depthwise, xName});
  const {bias, preluActivationWeights: slope}: ConvInputs = kernel.fused ? inputs : {};
  const {residual}: ConvInputs = kernel.own ? inputs : {};
  const activation = checkActivation(kernel.fused ? attrs.activation : undefined, slope != null, kernel.own);
  const geometry = isGradient ? asked : asOnePixel(essential(asked));
  backend.checkLimits?.(geometry, {
    [ofInput ? 'an output' : 'x']: xShape,
    filter: filterShape,
    [isGradient ? 'dy' : 'an output']: asked.outShape,
  });
  const reason = whyStock(kernel, inputs, asked, context, backend.stock);
  if (reason !== undefined) return {asked, geometry, activation, reason};
  const plan = isGradient
    ? planGradient(geometry, ofInput ? 'input' : 'filter', context)
    : // A depthwise convolution that is computed as a full one keeps the errors of plain im2win.
      planOurs(geometry, kernel.depthwise ? {...context, winograd: false} : context);
  return {
    asked,
    geometry,
    activation,
    plan,
    constants: activationConstants(activation, attrs),
    bias: bias == null ? undefined : operandStrides('bias', bias.shape, asked),
    slope:
      slope == null || activation !== 'prelu'
        ? undefined
        : operandStrides('preluActivationWeights', slope.shape, asked),
    residual: residual == null ? undefined : residualStrides(residual.shape, asked),
    // Without an activation it is all the same.
    residualAfterActivation: activation !== 'linear' && attrs.residualAfterActivation === true,
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

function record(
  {inputs: {x, filter, bias}, attrs: {pad, inputShape = [], filterShape = []}}: ConvCall,
  {asked, activation, residual}: ConvRoute,
): Omit<ConvolutionRecord, keyof KernelRecord> {
  return {
    xShape: [...(x?.shape ?? inputShape)],
    filterShape: [...(filter?.shape ?? filterShape)],
    outShape: [...asked.outShape],
    strides: [asked.strideHeight, asked.strideWidth],
    dilations: [asked.dilationHeight, asked.dilationWidth],
    pad: copyOf(pad),
    dataFormat: asked.dataFormat,
    activation,
    bias: bias != null,
    ...(residual ? {residual: true} : {}),
  };
}

function copyOf(pad: ConvAttributes['pad']): ConvAttributes['pad'] {
  return typeof pad === 'object' ? (pad.map((side) => [...side]) as typeof pad) : pad;
}
