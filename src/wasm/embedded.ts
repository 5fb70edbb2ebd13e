import type {Flavour} from '../plan.ts';
import {KERNELS} from './kernels.generated.ts';
import {unpackKernels} from './packed.ts';
import {compileError, type KernelFile, type KernelSource} from './source.ts';

/** The kernels that are part of the JavaScript. */
export const EMBEDDED_KERNELS: KernelSource = {relaxed: embedded('relaxed'), strict: embedded('strict')};

function embedded(flavour: Flavour): KernelFile {
  const name = `the embedded kernels (${flavour})`;
  return {
    name,
    async load() {
      try {
        return unpackKernels(KERNELS, flavour);
      } catch (cause) {
        throw compileError(name, cause);
      }
    },
  };
}
