import type {Flavour} from '../plan.ts';
import {KERNEL_BYTES} from './kernels.generated.ts';
import type {KernelFile, KernelSource} from './source.ts';

/** The kernels that are part of the JavaScript. */
export const EMBEDDED_KERNELS: KernelSource = {relaxed: embedded('relaxed'), strict: embedded('strict')};

function embedded(flavour: Flavour): KernelFile {
  return {
    name: `the embedded kernels (${flavour})`,
    async load() {
      const deflated = Uint8Array.from(atob(KERNEL_BYTES[flavour]), (character) => character.charCodeAt(0));
      if (typeof DecompressionStream === 'undefined') {
        throw new Error(
          'registerIm2win: this engine has no DecompressionStream, which the embedded kernels need; ' +
            "'tfjs-im2win/slim' does without.",
        );
      }
      const inflated = new Blob([deflated]).stream().pipeThrough(new DecompressionStream('deflate'));
      return new Uint8Array(await new Response(inflated).arrayBuffer());
    },
  };
}
