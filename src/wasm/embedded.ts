import type {Flavour} from '../plan.ts';
import {KERNELS} from './kernels.generated.ts';
import {unpackKernels} from './packed.ts';
import type {KernelFile, KernelSource} from './source.ts';

/** The kernels that are part of the JavaScript. */
export const EMBEDDED_KERNELS: KernelSource = {relaxed: embedded('relaxed'), strict: embedded('strict')};

function embedded(flavour: Flavour): KernelFile {
  return {
    name: `the embedded kernels (${flavour})`,
    load: async () => unpackKernels(KERNELS, flavour),
  };
}
