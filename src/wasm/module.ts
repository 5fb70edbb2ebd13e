import type {Flavour} from '../plan.ts';
import {KERNEL_BYTES} from './kernels.generated.ts';

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
  strip: number,
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
  readonly unshared: WebAssembly.Module;
  /** Missing where it was not wanted. */
  readonly shared?: WebAssembly.Module;
}

/** The best flavour that this engine compiles; `none` if it has no SIMD. */
export function bestFlavour(): Flavour | 'none' {
  if (supports('relaxed')) return 'relaxed';
  return supports('strict') ? 'strict' : 'none';
}

/** Whether this engine compiles a flavour. */
export function supports(flavour: Flavour): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(kernelBytes(flavour));
}

/**
 * @param shared Whether the module for a shared memory is wanted too.
 */
export async function compileKernels(flavour: Flavour, shared: boolean): Promise<KernelModules> {
  const bytes = kernelBytes(flavour);
  return {
    unshared: await WebAssembly.compile(bytes),
    shared: shared ? await WebAssembly.compile(withSharedMemory(bytes)) : undefined,
  };
}

/** A module on a memory that it does not own. It keeps no state of its own. */
export function instantiateKernels(
  modules: KernelModules,
  memory: WebAssembly.Memory,
  shared: boolean,
): KernelExports | undefined {
  const module = shared ? modules.shared : modules.unshared;
  if (module === undefined) return undefined;
  return new WebAssembly.Instance(module, {env: {memory}}).exports as unknown as KernelExports;
}

const decoded = new Map<Flavour, Uint8Array<ArrayBuffer>>();

function kernelBytes(flavour: Flavour): Uint8Array<ArrayBuffer> {
  const known = decoded.get(flavour);
  if (known !== undefined) return known;
  const text = atob(KERNEL_BYTES[flavour]);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  decoded.set(flavour, bytes);
  return bytes;
}

const IMPORT_SECTION = 2;
const MAX_PAGES = 65536;

/**
 * The same module with its imported memory declared shared. Only the limits of
 * the import differ between the two builds, so that one is shipped.
 *
 * The import section holds one import, `env.memory`, and ends in its limits: a
 * flag byte of 0 and the least number of pages (WebAssembly core specification,
 * binary format, section 5.5.5). A shared memory's flags are 3, and its limits
 * name the most pages as well.
 */
export function withSharedMemory(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  let at = 8;
  while (bytes[at] !== IMPORT_SECTION) {
    const [size, start] = readUnsigned(bytes, at + 1);
    at = start + size;
  }
  const [size, start] = readUnsigned(bytes, at + 1);
  const section = bytes.subarray(start, start + size);
  // Count, "env", "memory", and the kind, each string behind its length.
  const flags = 1 + 4 + 7 + 1;
  const body = [...section.subarray(0, flags), 3, ...section.subarray(flags + 1), ...unsigned(MAX_PAGES)];
  const result = [
    ...bytes.subarray(0, at + 1),
    ...unsigned(body.length),
    ...body,
    ...bytes.subarray(start + size),
  ];
  return Uint8Array.from(result);
}

// LEB128, section 5.2.2 of the specification.
function readUnsigned(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at];
  }
}

function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
