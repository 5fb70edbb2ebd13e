import {inflateSync} from 'fflate';
import type {Flavour} from '../plan.ts';
import {readUnsigned} from './binary.ts';

/**
 * The kernels of both flavours as they are in the JavaScript: deflated, in base64 without padding. Most of
 * a flavour is in the other, too: the strict one is a patch, which is a quarter of it.
 */
export interface PackedKernels {
  readonly relaxed: string;
  /** What makes the strict kernels of the relaxed ones. */
  readonly strict: string;
}

export function unpackKernels(packed: PackedKernels, flavour: Flavour): Uint8Array<ArrayBuffer> {
  const relaxed = inflateSync(fromBase64(packed.relaxed));
  return flavour === 'relaxed' ? relaxed : applyPatch(relaxed, inflateSync(fromBase64(packed.strict)));
}

/**
 * A patch is the size of what it makes, and then, until that is made, turns of: how many bytes follow here;
 * these; how many are then copied from the base; and how far they are from where the last copy ended. Numbers are
 * LEB128, and the distance is doubled, plus one where it is back.
 */
export function applyPatch(base: Uint8Array, patch: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 0;
  const next = () => {
    const [value, end] = readUnsigned(patch, at);
    at = end;
    return value;
  };
  const bytes = new Uint8Array(next());
  for (let to = 0, from = 0; to < bytes.length; ) {
    const own = next();
    bytes.set(patch.subarray(at, at + own), to);
    at += own;
    to += own;
    const copied = next();
    const distance = next();
    from += distance % 2 === 0 ? distance / 2 : -(distance - 1) / 2;
    bytes.set(base.subarray(from, from + copied), to);
    from += copied;
    to += copied;
  }
  return bytes;
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Not every host of tfjs has `atob`. */
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
