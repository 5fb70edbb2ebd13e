import type {Flavour} from '../plan.ts';
import {readUnsigned} from './binary.ts';
import {UNPACKER} from './unpacker.generated.ts';

/** Bytes that are deflated, six bits a character. */
export interface Packed {
  /** How many they are. */
  readonly bytes: number;
  readonly text: string;
}

/**
 * The kernels of both flavours as they are in the JavaScript. Most of a flavour is in the other, too: the
 * strict one is a patch, which is a quarter of it.
 */
export interface PackedKernels {
  readonly relaxed: Packed;
  /** What makes the strict kernels of the relaxed ones. */
  readonly strict: Packed;
}

/** @throws Error if the host forbids WebAssembly to be compiled. */
export function unpackKernels(packed: PackedKernels, flavour: Flavour): Uint8Array<ArrayBuffer> {
  const unpacker = new WebAssembly.Module(fromBase64(UNPACKER));
  const relaxed = unpack(unpacker, packed.relaxed);
  return flavour === 'relaxed' ? relaxed : applyPatch(relaxed, unpack(unpacker, packed.strict));
}

const PAGE = 65536;
// What kernels/unpack/unpack.cpp has its tables in, at offset 0.
const SCRATCH = 3 * PAGE;

function unpack(unpacker: WebAssembly.Module, {bytes, text}: Packed): Uint8Array<ArrayBuffer> {
  const end = SCRATCH + text.length + bytes;
  // It reads a few characters beyond the text, and writes a few bytes beyond the others.
  const memory = new WebAssembly.Memory({initial: Math.ceil((end + 16) / PAGE)});
  const {exports} = new WebAssembly.Instance(unpacker, {env: {memory}});
  writeText(new Uint8Array(memory.buffer, SCRATCH, text.length), text);
  const to = SCRATCH + text.length;
  (exports as unknown as Unpacker).unpack(0, SCRATCH, to);
  return new Uint8Array(memory.buffer, to, bytes);
}

interface Unpacker {
  unpack(scratch: number, text: number, to: number): void;
}

function writeText(to: Uint8Array<ArrayBuffer>, text: string): void {
  // Not every host of tfjs has it.
  if (typeof TextEncoder === 'undefined') {
    for (let i = 0; i < text.length; ++i) to[i] = text.charCodeAt(i);
  } else {
    new TextEncoder().encodeInto(text, to);
  }
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
