import type {Flavour} from '../plan.ts';

/** The exports of `kernels/`; byte offsets and counts are 32-bit integers. */
export interface KernelExports {
  im2win_pack(
    panels: number,
    filter: number,
    filterHeight: number,
    filterWidth: number,
    inChannels: number,
    outChannels: number,
  ): void;
  im2win_strip: StripKernel;
  im2win_strip_nchw: StripKernel;
  im2win_spread_nchw(to: number, block: number, pixels: number, channels: number, planeFloats: number): void;
  im2win_winograd_pack(
    panels: number,
    filter: number,
    filterHeight: number,
    filterWidth: number,
    inChannels: number,
    outChannels: number,
    rowPhases: number,
    strideWidth: number,
    rowPoints: number,
    points: number,
  ): void;
  im2win_winograd_input(
    to: number,
    rows: number,
    rowStride: number,
    tiles: number,
    outputs: number,
    columnFloats: number,
    tileStride: number,
    pointStride: number,
    rowPoints: number,
    points: number,
  ): void;
  im2win_depthwise(
    call: number,
    x: number,
    filter: number,
    c: number,
    outHeight: number,
    inHeight: number,
    inWidth: number,
    inChannels: number,
    multiplier: number,
    filterHeight: number,
    filterWidth: number,
    strideHeight: number,
    strideWidth: number,
    dilationHeight: number,
    dilationWidth: number,
    padTop: number,
    padLeft: number,
  ): void;
  im2win_flip(
    to: number,
    filter: number,
    filterWidth: number,
    inChannels: number,
    outChannels: number,
    firstRow: number,
    rowStep: number,
    rows: number,
    firstColumn: number,
    columnStep: number,
    columns: number,
    stride: number,
  ): void;
  im2win_gradient_filter(
    gradient: number,
    x: number,
    dy: number,
    inHeight: number,
    inWidth: number,
    inChannels: number,
    outHeight: number,
    outWidth: number,
    outChannels: number,
    filterHeight: number,
    filterWidth: number,
    strideHeight: number,
    strideWidth: number,
    padTop: number,
    padLeft: number,
  ): void;
  im2win_depthwise_gradient_input(
    gradient: number,
    dy: number,
    filter: number,
    inHeight: number,
    inWidth: number,
    inChannels: number,
    multiplier: number,
    outHeight: number,
    outWidth: number,
    filterHeight: number,
    filterWidth: number,
    strideHeight: number,
    strideWidth: number,
    dilationHeight: number,
    dilationWidth: number,
    padTop: number,
    padLeft: number,
  ): void;
  im2win_depthwise_gradient_filter(
    gradient: number,
    x: number,
    dy: number,
    inHeight: number,
    inWidth: number,
    inChannels: number,
    multiplier: number,
    outHeight: number,
    outWidth: number,
    filterHeight: number,
    filterWidth: number,
    strideHeight: number,
    strideWidth: number,
    dilationHeight: number,
    dilationWidth: number,
    padTop: number,
    padLeft: number,
  ): void;
  im2win_gemm_6x8?(call: number, a: number, c: number, rows: number): void;
  im2win_gemm_5x8?(call: number, a: number, c: number, rows: number): void;
  im2win_winograd_6x8?: WinogradKernel;
  im2win_winograd_5x8?: WinogradKernel;
}

type StripKernel = (
  to: number,
  x: number,
  inHeight: number,
  inWidth: number,
  inChannels: number,
  filterHeight: number,
  firstRow: number,
  rowStep: number,
  firstColumn: number,
  columnStep: number,
  columns: number,
  groupStep: number,
  groups: number,
  strips: number,
  stripStride: number,
  stripStep: number,
) => void;

type WinogradKernel = (
  call: number,
  gemm: number,
  a: number,
  c: number,
  rows: number,
  outputs: number,
  outWidth: number,
  products: number,
  points: number,
  group: number,
  rowPoints: number,
  rowOutputs: number,
) => void;

/** A flavour, compiled for both kinds of memory that tfjs's builds use. */
export interface KernelModules {
  readonly flavour: Flavour;
  readonly unshared: WebAssembly.Module;
  /** Or why there is none. */
  readonly shared: WebAssembly.Module | string;
}

/**
 * A module on a memory that it does not own. It keeps no state of its own.
 *
 * @returns Its exports, or why there is no module for such a memory.
 */
export function instantiateKernels(
  modules: KernelModules,
  memory: WebAssembly.Memory,
  shared: boolean,
): KernelExports | string {
  const module = shared ? modules.shared : modules.unshared;
  if (typeof module === 'string') return module;
  return new WebAssembly.Instance(module, {env: {memory}}).exports as unknown as KernelExports;
}
