// What src/wasm/packed.ts unpacks.
import {deflateAsync} from '@gfx/zopfli';
import type {Flavour} from '../src/plan.ts';
import {unsigned} from '../src/wasm/binary.ts';
import type {Packed, PackedKernels} from '../src/wasm/packed.ts';

type Deflate = (bytes: Uint8Array) => Promise<Uint8Array>;

/** @param deflate Makes raw deflate of bytes. */
export async function packKernels(
  {relaxed, strict}: Record<Flavour, Uint8Array>,
  deflate: Deflate = thorough,
): Promise<PackedKernels> {
  const pack = async (bytes: Uint8Array): Promise<Packed> => ({
    bytes: bytes.length,
    text: toText(await deflate(bytes)),
  });
  return {relaxed: await pack(relaxed), strict: await pack(makePatch(relaxed, strict))};
}

/** Five per cent shorter than zlib's, in some seconds. */
const thorough: Deflate = async (bytes) => deflateAsync(bytes, {numiterations: 15, blocksplittingmax: 30});

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Six bits a character, the lowest bits of the first byte in the first: as kernels/unpack/unpack.cpp reads them. */
function toText(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let count = 0;
  for (const byte of [...bytes, 0]) {
    held |= byte << count;
    count += 8;
    for (; count >= 6; count -= 6, held >>= 6) text += DIGITS[held & 63];
  }
  return text;
}

/** Shorter copies than this take more than they save. */
const LEAST_COPY = 12;

/** As {@link applyPatch} wants it: the longest copy wherever there is one, of them the one that is nearest. */
export function makePatch(base: Uint8Array, bytes: Uint8Array): Uint8Array {
  const places = new Map<string, number[]>();
  const startAt = (of: Uint8Array, at: number) => of.subarray(at, at + LEAST_COPY).join();
  for (let at = 0; at + LEAST_COPY <= base.length; ++at) {
    const start = startAt(base, at);
    const same = places.get(start);
    if (same === undefined) places.set(start, [at]);
    else same.push(at);
  }
  const patch = unsigned(bytes.length);
  let lastEnd = 0;
  let own: number[] = [];
  const turn = (length: number, from: number) => {
    const distance = from - lastEnd;
    patch.push(...unsigned(own.length), ...own);
    patch.push(...unsigned(length), ...unsigned(distance < 0 ? -2 * distance + 1 : 2 * distance));
    own = [];
    lastEnd = from + length;
  };
  for (let at = 0; at < bytes.length; ) {
    let length = 0;
    let from = 0;
    for (const place of places.get(startAt(bytes, at)) ?? []) {
      const same = commonLength(base, place, bytes, at);
      const nearer = Math.abs(place - lastEnd) < Math.abs(from - lastEnd);
      if (same > length || (same === length && nearer)) [length, from] = [same, place];
    }
    if (length === 0) own.push(bytes[at++]);
    else turn(length, from);
    at += length;
  }
  if (own.length > 0) turn(0, lastEnd);
  return Uint8Array.from(patch);
}

function commonLength(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number): number {
  let length = 0;
  while (
    aStart + length < a.length &&
    bStart + length < b.length &&
    a[aStart + length] === b[bStart + length]
  ) {
    ++length;
  }
  return length;
}
