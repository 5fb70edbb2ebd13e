/**
 * The library without its kernels inside, for hosts that serve them as files, or must not
 * compile WebAssembly from bytes.
 *
 * @module tfjs-im2win/slim
 */
import type {Im2winOptions} from './options.ts';
import {registerWith} from './register.ts';
import type {Im2winRegistration} from './registration.ts';
import {type KernelLocation, kernelsAt} from './wasm/location.ts';

export * from './api.ts';
export type {CompiledModule, KernelLocation, OneOrEach, UrlLike} from './wasm/location.ts';

/** The options of `registerIm2win`, and where the kernels are. */
export type SlimOptions = Im2winOptions & KernelLocation;

/**
 * `registerIm2win` of `tfjs-im2win`, with kernels from `im2win-relaxed.wasm` and
 * `im2win-strict.wasm` of this package, as one of `wasmUrl`, `wasmBinary` and `module`.
 * Each is one file, whose flavour is found out, or `{strict, relaxed}`, of which the best that
 * the engine has is loaded. Where an engine has no flavour of those given, nothing is routed on wasm,
 * and `simd` of the registration is `'none'`.
 *
 * Where there is a registration already, that is returned. If wasm is served already, its kernels stay; a location
 * must be given all the same.
 *
 * @throws Error as `registerIm2win` of `tfjs-im2win` does; if not exactly one of the three is given;
 *     if a file cannot be fetched, is not of this version, does not compile, or is not of the flavour
 *     that it is given as. Nothing is changed then.
 */
export async function registerIm2win(options: SlimOptions): Promise<Im2winRegistration> {
  const {wasmUrl, wasmBinary, module, ...others} = options ?? {};
  return registerWith(kernelsAt({wasmUrl, wasmBinary, module}), others);
}
