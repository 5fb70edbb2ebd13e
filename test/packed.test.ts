// The kernels are deflated, and the strict ones are a patch of the relaxed ones: whatever the bytes, they come out.
import {deflateRawSync} from 'node:zlib';
import fc from 'fast-check';
import {makePatch, packKernels} from '../scripts/pack-kernels.ts';
import {applyPatch, unpackKernels} from '../src/wasm/packed.ts';

const bytes = fc.uint8Array({maxLength: 100});

const NOTHING = new Uint8Array(0);

/** Quicker than what the build does. */
const pack = (relaxed: Uint8Array, strict: Uint8Array) =>
  packKernels({relaxed, strict}, async (bytes) => deflateRawSync(bytes, {level: 9}));

async function unpacked(relaxed: Uint8Array): Promise<Uint8Array> {
  return unpackKernels(await pack(relaxed, NOTHING), 'relaxed');
}

test.each(['relaxed', 'strict'] as const)('%s comes out as it went in', async (flavour) => {
  await fc.assert(
    fc.asyncProperty(bytes, bytes, async (relaxed, strict) => {
      const packed = await pack(relaxed, strict);
      expect([...unpackKernels(packed, flavour)]).toEqual([...{relaxed, strict}[flavour]]);
    }),
  );
});

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

// DEFLATE has blocks of bytes as they are, of codes that are known, and of codes of their own, and copies of 3 to 258
// bytes, at most 32 KiB back.
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
])('%s', async (_, all) => {
  expect(Buffer.compare(await unpacked(all), all)).toBe(0);
});

test('a host need not have a TextEncoder', async () => {
  const {TextEncoder} = globalThis;
  const all = randomBytes(10_000);
  try {
    Reflect.deleteProperty(globalThis, 'TextEncoder');
    expect(typeof globalThis.TextEncoder).toBe('undefined');
    expect(Buffer.compare(await unpacked(all), all)).toBe(0);
  } finally {
    globalThis.TextEncoder = TextEncoder;
  }
});

test('parts of the base in another order, with others between them', () => {
  const part = fc.tuple(fc.nat(400), fc.nat(400), bytes);
  fc.assert(
    fc.property(fc.uint8Array({minLength: 400, maxLength: 400}), fc.array(part), (base, parts) => {
      const made = parts.flatMap(([from, to, own]) => [...base.slice(from, to), ...own]);
      expect([...applyPatch(base, makePatch(base, Uint8Array.from(made)))]).toEqual(made);
    }),
  );
});

test('a copy takes a few bytes', () => {
  const base = Uint8Array.from({length: 1000}, (_, i) => (i * i) % 251);
  expect(makePatch(base, base.slice(100)).length).toBeLessThan(10);
});
