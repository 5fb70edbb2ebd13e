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
 * `registerIm2win` if that fails; tfjs's own kernels stay then, and no one is told who does
 * not await it: it is no unhandled rejection, which would end a Node process.
 */
export const ready: Promise<Im2winRegistration> = Promise.resolve().then(() => registerIm2win());

ready.catch(() => {});
