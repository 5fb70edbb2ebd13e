import type {Flavour} from '../plan.ts';
import {UNPACKER} from './unpacker.generated.ts';

/**
 * The kernels of both flavours as they are in the JavaScript: one stream of LZMA, the relaxed ones first. Most of
 * the strict ones are copies of these, and take a fifth of their room.
 */
export interface PackedKernels {
  /** How many bytes the relaxed kernels are. */
  readonly relaxed: number;
  /** How many the strict ones are. */
  readonly strict: number;
  /** The stream, in base64 without padding. */
  readonly text: string;
}

const PAGE = 65536;
// Of kernels/unpack/unpack.cpp: its tables, at offset 0, and what a copy may write behind the bytes asked for.
const SCRATCH = PAGE;
const BEHIND = 272;

/** @throws Error if the host forbids WebAssembly to be compiled. */
export function unpackKernels(
  {relaxed, strict, text}: PackedKernels,
  flavour: Flavour,
): Uint8Array<ArrayBuffer> {
  const to = SCRATCH + text.length;
  const end = to + relaxed + (flavour === 'strict' ? strict : 0);
  const memory = new WebAssembly.Memory({initial: Math.ceil((end + BEHIND) / PAGE)});
  const {exports} = new WebAssembly.Instance(new WebAssembly.Module(fromBase64(UNPACKER)), {env: {memory}});
  writeText(new Uint8Array(memory.buffer, SCRATCH, text.length), text);
  (exports as unknown as Unpacker).unpack(0, SCRATCH, text.length, to, end - to);
  return new Uint8Array(memory.buffer).slice(flavour === 'strict' ? to + relaxed : to, end);
}

interface Unpacker {
  unpack(scratch: number, text: number, characters: number, to: number, bytes: number): void;
}

function writeText(to: Uint8Array<ArrayBuffer>, text: string): void {
  // Not every host of tfjs has it.
  if (typeof TextEncoder === 'undefined') {
    for (let i = 0; i < text.length; ++i) to[i] = text.charCodeAt(i);
  } else {
    new TextEncoder().encodeInto(text, to);
  }
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
