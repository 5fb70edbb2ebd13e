import type {Flavour} from '../plan.ts';
import {PREAMBLE} from './binary.ts';

/** The better one first. */
export const FLAVOURS: readonly Flavour[] = ['relaxed', 'strict'];

// Instructions by the WebAssembly core specification, section 5.4.8: vector
// instructions have the prefix 0xfd and their number in LEB128.
const LOCAL_GET = 0x20;
const FMA: Record<Flavour, number[]> = {
  // f32x4.relaxed_madd is number 0x105.
  relaxed: [LOCAL_GET, 0, LOCAL_GET, 1, LOCAL_GET, 2, 0xfd, 0x85, 0x02],
  // f32x4.mul is number 230, f32x4.add 228.
  strict: [LOCAL_GET, 0, LOCAL_GET, 1, 0xfd, 0xe6, 0x01, LOCAL_GET, 2, 0xfd, 0xe4, 0x01],
};

/** The flavours that this engine has, the better one first. */
export function supportedFlavours(): Flavour[] {
  return FLAVOURS.filter(supports);
}

/** The best flavour of this engine; `none` if it has no SIMD. */
export function bestFlavour(): Flavour | 'none' {
  return supportedFlavours()[0] ?? 'none';
}

/** Whether this engine has what a flavour is made of. */
export function supports(flavour: Flavour): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(probe(flavour));
}

/** The least module that computes x · y + z of vectors, as the kernels do. */
export function probe(flavour: Flavour): Uint8Array<ArrayBuffer> {
  const V128 = 0x7b;
  const END = 0x0b;
  const code = [0, ...FMA[flavour], END]; // Behind the number of locals, 0.
  const bodies = [1, code.length, ...code];
  return Uint8Array.from([
    ...PREAMBLE,
    // Type section (5.5.4): one function type, three vectors to one.
    ...[1, 8, 1, 0x60, 3, V128, V128, V128, 1, V128],
    // Function section (5.5.6): one function, of type 0.
    ...[3, 2, 1, 0],
    // Code section (5.5.13).
    ...[10, bodies.length, ...bodies],
  ]);
}
