// The strict kernels are packed as a patch of the relaxed ones. A patch restores any bytes.
import fc from 'fast-check';
import {makePatch, packKernels} from '../scripts/pack-kernels.ts';
import {applyPatch, unpackKernels} from '../src/wasm/packed.ts';

const bytes = fc.uint8Array({maxLength: 100});

test.each(['relaxed', 'strict'] as const)('%s comes out as it went in', (flavour) => {
  fc.assert(
    fc.property(bytes, bytes, (relaxed, strict) => {
      const packed = packKernels({relaxed, strict});
      expect(packed.relaxed).not.toContain('=');
      expect([...unpackKernels(packed, flavour)]).toEqual([...{relaxed, strict}[flavour]]);
    }),
  );
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
