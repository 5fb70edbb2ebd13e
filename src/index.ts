/**
 * Convolutions of TensorFlow.js models through im2win, on the backends they
 * already run on.
 *
 * @module tfjs-im2win
 */
import {type Im2winOptions, type Im2winRegistration, registerWith} from './register.ts';
import {EMBEDDED_KERNELS} from './wasm/embedded.ts';

export * from './api.ts';

/**
 * Reroutes the convolutions of tfjs's backends through im2win, for models that
 * are loaded already as for those to come. Call it before or after
 * `tf.setBackend`, but after the backend's package was imported. On wasm it adds the
 * gradient kernels that tfjs has not.
 *
 * Called again, also from a second copy of this module or from another entry of the
 * package, it returns the registration there is.
 *
 * @param options All of them have defaults.
 * @throws Error if an option is not one of those allowed, or differs from what
 *     the registration there is was made with; if no backend's package was
 *     imported; if `simd` names a flavour that this engine does not have; if the
 *     page's Content-Security-Policy forbids WebAssembly, and wasm is to be served.
 *     Nothing is changed then.
 */
export function registerIm2win(options: Im2winOptions = {}): Promise<Im2winRegistration> {
  return registerWith(EMBEDDED_KERNELS, options);
}
