// The kernels are packed as one stream of LZMA: whatever the bytes, they come out.
import {readFileSync} from 'node:fs';
import fc from 'fast-check';
import {packKernels} from '../scripts/pack-kernels.ts';
import {KERNELS} from '../src/wasm/kernels.generated.ts';
import {unpackKernels} from '../src/wasm/packed.ts';

const bytes = fc.uint8Array({maxLength: 100});

const NOTHING = new Uint8Array(0);

function unpacked(relaxed: Uint8Array): Uint8Array {
  return unpackKernels(packKernels({relaxed, strict: NOTHING}), 'relaxed');
}

test.each(['relaxed', 'strict'] as const)('%s comes out as it went in', (flavour) => {
  fc.assert(
    fc.property(bytes, bytes, (relaxed, strict) => {
      const packed = packKernels({relaxed, strict});
      expect([...unpackKernels(packed, flavour)]).toEqual([...{relaxed, strict}[flavour]]);
    }),
  );
});

test.each(['relaxed', 'strict'] as const)(
  'the %s kernels are those that are shipped as a file',
  (flavour) => {
    const file = readFileSync(new URL(`../src/wasm/im2win-${flavour}.wasm`, import.meta.url));
    expect(file.equals(unpackKernels(KERNELS, flavour))).toBe(true);
  },
);

/** Numbers below 2³², the same ones each time. */
function* numbers(): Generator<number> {
  for (let state = 1; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state;
  }
}

/** Below 256, the small ones more often where `power` is large. */
function randomBytes(count: number, power = 4): Uint8Array {
  const random = numbers();
  return Uint8Array.from({length: count}, () => Math.floor((random.next().value / 2 ** 32) ** power * 256));
}

/** Distances that come back, and single bytes between copies of one distance. */
function rearranged(base: Uint8Array): Uint8Array {
  const random = numbers();
  const below = (limit: number) => Math.floor((random.next().value / 2 ** 32) * limit);
  const all = [...base];
  const starts = Array.from({length: 5}, () => below(base.length - 1000));
  for (let part = 0; part < 500; ++part) {
    const from = starts[below(starts.length)];
    const copy = base.slice(from, from + 1 + below(700));
    if (part % 2 === 0) copy[below(copy.length)] ^= 1;
    all.push(...copy);
  }
  return Uint8Array.from(all);
}

// LZMA has copies of 2 to 273 bytes, at the last four distances or any other, and literals that know the byte at the
// last distance.
test.each([
  ['nothing', NOTHING],
  ['bytes that do not shrink', randomBytes(70_000, 1)],
  ['a few bytes', Uint8Array.from([1, 2, 3])],
  ['one byte over and over', new Uint8Array(100_000).fill(7)],
  ['frequent and rare bytes', randomBytes(100_000)],
  [
    'copies of every length and distance',
    Uint8Array.from(
      [...randomBytes(33_000)].concat(
        ...Array.from({length: 300}, (_, i) => [...randomBytes(33_000).slice(i * 109, i * 109 + i), i % 256]),
      ),
    ),
  ],
  ['parts in another order, some bytes changed', rearranged(randomBytes(20_000, 1))],
])('%s', (_, all) => {
  expect(Buffer.compare(unpacked(all), all)).toBe(0);
});

test('a host need not have a TextEncoder', () => {
  const {TextEncoder} = globalThis;
  const all = randomBytes(10_000);
  try {
    Reflect.deleteProperty(globalThis, 'TextEncoder');
    expect(typeof globalThis.TextEncoder).toBe('undefined');
    expect(Buffer.compare(unpacked(all), all)).toBe(0);
  } finally {
    globalThis.TextEncoder = TextEncoder;
  }
});
