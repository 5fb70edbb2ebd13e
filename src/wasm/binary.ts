// What is read and rewritten in a module's bytes. Section numbers are those of the
// WebAssembly core specification, chapter 5, the binary format.
/** A kernel file: its bytes, or the module that somebody compiled from them. */
export type KernelCode = Uint8Array<ArrayBuffer> | WebAssembly.Module;

/** What scripts/build-kernels.ts writes into a kernel file. */
export interface KernelIdentity {
  /** What it was compiled for: a column of kernels/targets.def. */
  readonly target: string;
  /** A fingerprint of the sources: this library calls kernels of its own build only. */
  readonly build: string;
}

export interface Section {
  /** Section 5.5.2: 0 custom, 1 type, 2 import, 3 function, … */
  readonly id: number;
  /** Where it begins, with its id. */
  readonly start: number;
  readonly body: Uint8Array;
}

/** The sections of a module, in their order; none if the bytes are not a module's. */
export function* sections(bytes: Uint8Array): Generator<Section> {
  if (PREAMBLE.some((byte, i) => bytes[i] !== byte)) return;
  for (let start = PREAMBLE.length; start < bytes.length; ) {
    const [size, at] = readUnsigned(bytes, start + 1);
    yield {id: bytes[start], start, body: bytes.subarray(at, at + size)};
    start = at + size;
  }
}

/** Section 5.5.16: the magic, and version 1. */
export const PREAMBLE = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

const IDENTITY = 'im2win';

/** A custom section (5.5.3) that names a kernel file's target and build. */
export function identitySection({target, build}: KernelIdentity): Uint8Array {
  const encode = (text: string) => Array.from(text, (character) => character.charCodeAt(0));
  const body = [IDENTITY.length, ...encode(IDENTITY), ...encode(`${target} ${build}`)];
  return Uint8Array.from([0, ...unsigned(body.length), ...body]);
}

/** What a kernel file says that it is; undefined if it is none of ours. */
export function identify(code: KernelCode): KernelIdentity | undefined {
  const written = code instanceof Uint8Array ? identityIn(code) : identityOf(code);
  if (written === undefined) return undefined;
  const [target, build] = textOf(written).split(' ');
  return {target, build};
}

function identityOf(module: WebAssembly.Module): Uint8Array | undefined {
  const [section] = WebAssembly.Module.customSections(module, IDENTITY);
  return section && new Uint8Array(section);
}

function identityIn(bytes: Uint8Array): Uint8Array | undefined {
  for (const {id, body} of sections(bytes)) {
    if (id !== 0) continue;
    const [length, at] = readUnsigned(body, 0);
    if (textOf(body.subarray(at, at + length)) === IDENTITY) return body.subarray(at + length);
  }
  return undefined;
}

/** A character for each byte. Not every host of tfjs has a `TextDecoder`. */
export function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

const IMPORT_SECTION = 2;
const MAX_PAGES = 65536;

/**
 * The same module with its imported memory declared shared. Only the limits of
 * the import differ between the two builds, so that one is shipped.
 *
 * The import section holds one import, `env.memory`, and ends in its limits: a
 * flag byte of 0 and the least number of pages (section 5.5.5). A shared memory's
 * flags are 3, and its limits name the most pages as well.
 */
export function withSharedMemory(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  for (const {id, start, body} of sections(bytes)) {
    if (id !== IMPORT_SECTION) continue;
    // Count, "env", "memory", and the kind, each string behind its length.
    const flags = 1 + 4 + 7 + 1;
    const shared = [...body.subarray(0, flags), 3, ...body.subarray(flags + 1), ...unsigned(MAX_PAGES)];
    const section = [id, ...unsigned(shared.length), ...shared];
    const end = body.byteOffset - bytes.byteOffset + body.length;
    const result = new Uint8Array(start + section.length + bytes.length - end);
    result.set(bytes.subarray(0, start));
    result.set(section, start);
    result.set(bytes.subarray(end), start + section.length);
    return result;
  }
  throw new Error('im2win: a module without imports has no memory to share.');
}

/** A number in LEB128, section 5.2.2, and where it ends. */
export function readUnsigned(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] ?? 0;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return [value >>> 0, at];
  }
}

/** A number as LEB128. */
export function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
