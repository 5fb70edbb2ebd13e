import {inflateSync} from 'fflate';
import type {Flavour} from '../plan.ts';
import {KERNEL_BYTES} from './kernels.generated.ts';
import type {KernelFile, KernelSource} from './source.ts';

/** The kernels that are part of the JavaScript. */
export const EMBEDDED_KERNELS: KernelSource = {relaxed: embedded('relaxed'), strict: embedded('strict')};

function embedded(flavour: Flavour): KernelFile {
  return {
    name: `the embedded kernels (${flavour})`,
    load: async () => inflateSync(fromBase64(KERNEL_BYTES[flavour])),
  };
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 without padding. Not every host of tfjs has `atob`. */
function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(128);
  for (let digit = 0; digit < 64; ++digit) values[DIGITS.charCodeAt(digit)] = digit;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  for (let i = 0, at = 0; i < text.length; ++i) {
    bits = (bits << 6) | values[text.charCodeAt(i)];
    if (i % 4 !== 0) bytes[at++] = bits >> (6 - 2 * (i % 4));
  }
  return bytes;
}
