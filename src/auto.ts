/**
 * `import 'tfjs-im2win/auto'` registers im2win with its defaults, once the modules that
 * are imported along with it have run, the tfjs backends among them, whether they come before
 * it or after it.
 *
 * @module tfjs-im2win/auto
 */
import {type Im2winRegistration, registerIm2win} from './index.ts';

/**
 * The registration. Until it settles, tfjs's own kernels run. Rejected with the error of
 * `registerIm2win` if that fails; tfjs's own kernels stay then. It is no unhandled rejection, which would end
 * a Node process: a warning on the console says it to those who await nothing. That is
 * the one thing that this library prints.
 */
export const ready: Promise<Im2winRegistration> = Promise.resolve().then(() => registerIm2win());

ready.catch(({message}: Error) => {
  console.warn(`tfjs-im2win/auto has registered nothing, and tfjs's own kernels stay. ${message}`);
});
