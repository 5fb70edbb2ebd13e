/**
 * `import 'tfjs-im2win/auto'` registers im2win with its defaults, once the modules that
 * are imported along with it have run, the tfjs backends among them, whether they come before
 * it or after it.
 *
 * @module tfjs-im2win/auto
 */
import {type Im2winRegistration, registerIm2win} from './index.ts';

/**
 * The registration. Until it settles, tfjs's own kernels run. If it fails, it rejects with the error of
 * `registerIm2win`, and tfjs's own kernels stay. A warning on the console says so, too, and is the only thing
 * that this library prints. A rejection that nobody awaits does not end a Node process.
 */
export const ready: Promise<Im2winRegistration> = Promise.resolve().then(() => registerIm2win());

ready.catch(({message}: Error) => {
  console.warn(`tfjs-im2win/auto has registered nothing, and tfjs's own kernels stay. ${message}`);
});
