/**
 * Convolutions of TensorFlow.js models through im2win, on the backends they
 * already run on.
 *
 * @module tfjs-im2win
 */
import type {Im2winOptions} from './options.ts';
import {registerWith} from './register.ts';
import type {Im2winRegistration} from './registration.ts';
import {EMBEDDED_KERNELS} from './wasm/embedded.ts';

export * from './api.ts';

/**
 * Routes the convolutions of tfjs's backends through im2win, in models that are loaded already and in those
 * to come. Call it before or after
 * `tf.setBackend`, but after the backend's package was imported. On wasm it adds the
 * gradient kernels that tfjs has not.
 *
 * Called again, also from a second copy of this module or from another entry of the
 * package, it returns the registration there is, with those backends added that were imported since.
 *
 * Where the host forbids WebAssembly to be compiled from bytes, as a page's Content-Security-Policy or an
 * edge worker does, cpu alone is served, if it was imported too; `status()` tells why.
 *
 * @param options All of them have defaults.
 * @throws Error if an option is not one of those allowed, or differs from what
 *     the registration there is was made with; if the package of a backend that
 *     `backends` names was not imported, or no backend's was; if `simd` names a flavour that this
 *     engine does not have; if the host forbids WebAssembly to be compiled, and there
 *     is no cpu to be served instead, or `backends` names wasm. Nothing is changed then.
 */
export function registerIm2win(options: Im2winOptions = {}): Promise<Im2winRegistration> {
  return registerWith(EMBEDDED_KERNELS, options);
}
