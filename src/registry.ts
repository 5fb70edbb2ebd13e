import {getKernel, type KernelConfig, registerKernel, unregisterKernel} from '@tensorflow/tfjs-core';

/**
 * Puts a kernel in the place of the registered one, if there is one.
 *
 * @param make Makes the new config from the one it replaces.
 * @returns What puts the replaced kernel back, unless another library has put
 *     its own in our place since: that one is left alone.
 */
export function replaceKernel(
  kernelName: string,
  backendName: string,
  make: (stock: KernelConfig | undefined) => KernelConfig,
): () => void {
  // tfjs types it as always there.
  const stock = getKernel(kernelName, backendName) as KernelConfig | undefined;
  const ours = make(stock);
  exchange(stock, ours);
  return () => {
    if (getKernel(kernelName, backendName) === ours) exchange(ours, stock);
  };
}

// Registering over a kernel that is there logs a warning.
function exchange(from: KernelConfig | undefined, to: KernelConfig | undefined): void {
  if (from !== undefined) unregisterKernel(from.kernelName, from.backendName);
  if (to !== undefined) registerKernel(to);
}
