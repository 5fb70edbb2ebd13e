// What src/wasm/packed.ts unpacks.
import {compress} from 'lzma1';
import type {Flavour} from '../src/plan.ts';
import type {PackedKernels} from '../src/wasm/packed.ts';

/** lc = 3, lp = 0, pb = 2: (pb · 5 + lp) · 9 + lc, as kernels/unpack/unpack.cpp has them. */
const PROPERTIES = 93;
/** The properties, the size of the dictionary in four bytes, and that of what was packed in eight. */
const HEADER = 13;

/** One stream of both: most of the strict kernels are copies of the relaxed ones. */
export function packKernels({relaxed, strict}: Record<Flavour, Uint8Array>): PackedKernels {
  const stream = compress(Buffer.concat([relaxed, strict]), 9);
  if (stream[0] !== PROPERTIES) throw new Error(`LZMA's properties are ${stream[0]}, not ${PROPERTIES}.`);
  return {relaxed: relaxed.length, strict: strict.length, text: toText(stream.subarray(HEADER))};
}

/** Base64 without padding: zeros make whole groups of three bytes. */
function toText(bytes: Uint8Array): string {
  const groups = Math.ceil(bytes.length / 3);
  return Buffer.concat([bytes], 3 * groups).toString('base64');
}
