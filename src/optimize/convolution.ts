// Convolutions of any kind and dense layers, as the patterns see them: one filter, one bias, one activation.
import type {NamedAttrMap} from '@tensorflow/tfjs-core';
import type {Node, NodeInputs, Value} from './graph.ts';
import type {PatternContext} from './pattern.ts';

/** A kernel that multiplies by a constant filter. */
export interface Convolution {
  readonly node: Node;
  readonly kind: 'full' | 'depthwise' | 'transposed' | 'dense';
  readonly filter: Value;
  /** The filter's axes of output channels, the outermost one first. */
  readonly channelAxes: readonly number[];
  readonly outChannels: number;
  /** The output's axis of channels. */
  readonly channelAxis: number;
  readonly bias?: Value;
  readonly residual?: Value;
  readonly activation: string;
}

const KINDS: Readonly<Record<string, Convolution['kind']>> = {
  Conv2D: 'full',
  FusedConv2D: 'full',
  Im2winConv2D: 'full',
  DepthwiseConv2dNative: 'depthwise',
  FusedDepthwiseConv2D: 'depthwise',
  Im2winDepthwiseConv2D: 'depthwise',
  Conv2DBackpropInput: 'transposed',
  _FusedMatMul: 'dense',
  BatchMatMul: 'dense',
};

/** A node as a convolution by a constant filter, or `undefined` if it is none. */
export function convolutionOf(node: Node | undefined): Convolution | undefined {
  const kind = node && KINDS[node.kernel];
  if (node === undefined || kind === undefined) return undefined;
  const {inputs, attrs, output} = node;
  const filter = kind === 'dense' ? inputs.b : inputs.filter;
  if (filter?.constant === undefined || filter.dtype !== 'float32') return undefined;
  const rank = filter.shape.length;
  if (kind === 'dense') {
    if (attrs.transposeA || attrs.transposeB || filter.shape.slice(0, -2).some((size) => size !== 1)) {
      return undefined;
    }
    // tfjs's fused kernel reads them so, and writes beyond its output otherwise.
    if (rank !== 3 || inputs.a.shape.length !== 3) return undefined;
  } else if (rank !== 4) {
    return undefined;
  }
  const channelAxes = {full: [3], depthwise: [2, 3], transposed: [2], dense: [rank - 1]}[kind];
  const planar = attrs.dataFormat === 'NCHW';
  return {
    node,
    kind,
    filter,
    channelAxes,
    outChannels: channelAxes.reduce((product, axis) => product * filter.shape[axis], 1),
    channelAxis: planar ? 1 : output.shape.length - 1,
    bias: inputs.bias,
    residual: inputs.residual,
    activation: (attrs.activation as string | undefined) ?? 'linear',
  };
}

/** What of a convolution becomes another. */
export interface Fusion {
  readonly filter?: Value;
  readonly bias?: Value;
  readonly residual?: Value;
  readonly activation?: string;
  /** Of the activation: slopes of prelu. */
  readonly slope?: Value;
  readonly attrs?: NamedAttrMap;
  /** Its input. */
  readonly x?: Value;
}

/** Activations that tfjs's own fused kernels know. */
const STOCK: ReadonlySet<string> = new Set([
  'linear',
  'relu',
  'relu6',
  'elu',
  'sigmoid',
  'leakyrelu',
  'prelu',
]);

const OWN: Partial<Record<Convolution['kind'], string>> = {
  full: 'Im2winConv2D',
  depthwise: 'Im2winDepthwiseConv2D',
};
const FUSED: Partial<Record<Convolution['kind'], string>> = {
  full: 'FusedConv2D',
  depthwise: 'FusedDepthwiseConv2D',
  dense: '_FusedMatMul',
};

/** The kernel that computes a convolution with what is fused into it; `undefined` if none does. */
export function fusedKernel(
  {kind, node}: Convolution,
  {residual, activation = 'linear'}: Pick<Fusion, 'residual' | 'activation'>,
  {has}: PatternContext,
): string | undefined {
  const own = OWN[kind];
  const fused = FUSED[kind];
  const ours = own !== undefined && has(own) ? own : undefined;
  if (residual !== undefined || !STOCK.has(activation)) return ours;
  // tfjs's wasm backend has no fused kernels for channels first.
  if (node.attrs.dataFormat === 'NCHW' && ours === undefined) return undefined;
  return fused !== undefined && has(fused) ? fused : undefined;
}

/**
 * Puts a convolution with something fused into it in the place of `last`.
 *
 * @param last The last node of those that it stands for.
 * @returns The new node, or `undefined` if no kernel computes that.
 */
export function fuse(
  convolution: Convolution,
  last: Node,
  fusion: Fusion,
  context: PatternContext,
): Node | undefined {
  const {node, kind} = convolution;
  // A constant of more dimensions would have given the output more, too.
  if (last.output.shape.join() !== node.output.shape.join()) return undefined;
  const residual = fusion.residual ?? convolution.residual;
  const activation = fusion.activation ?? convolution.activation;
  const kernel = fusedKernel(convolution, {residual, activation}, context);
  if (kernel === undefined) return undefined;
  const dense = kind === 'dense';
  const inputs: Record<string, Value | undefined> = {
    ...node.inputs,
    [dense ? 'b' : 'filter']: fusion.filter ?? convolution.filter,
    bias: fusion.bias ?? convolution.bias,
    residual,
    preluActivationWeights: fusion.slope ?? node.inputs.preluActivationWeights,
  };
  if (fusion.x !== undefined) inputs[dense ? 'a' : 'x'] = fusion.x;
  const given = Object.entries(inputs).filter((entry): entry is [string, Value] => entry[1] !== undefined);
  return context.graph.replace(last, {
    kernel,
    inputs: Object.fromEntries(given) as NodeInputs,
    attrs: {...node.attrs, ...fusion.attrs, activation},
  });
}

/** Whether a convolution's windows see values beyond its input, which are zeros. */
export function padsInput({node, kind}: Convolution): boolean {
  if (kind === 'dense') return false;
  const {pad} = node.attrs as {pad: unknown};
  if (pad === 'valid' || pad === 0) return false;
  if (Array.isArray(pad)) return pad.flat().some((size) => size !== 0);
  const [height, width] = node.inputs.filter.shape;
  // 'same' pads nothing where a window is one pixel.
  return !(pad === 'same' && height === 1 && width === 1);
}
