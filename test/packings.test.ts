// How much is kept of one filter, and what gives way to what.
import {type Im2winRegistration, registerIm2win} from '../src/index.ts';
import {Packings} from '../src/packings.ts';
import {convCase, expectConvolution, floats, freshWasm, LINEAR, tf} from './tf.ts';

/** Wants packings in turn, each of 10 bytes of 25, and says which were found or kept. */
function turns(wanted: string) {
  const packings = new Packings<{bytes: number; name: string}>();
  const dropped: string[] = [];
  const served = [...wanted].map((name) => {
    if (packings.get(name) !== undefined) return 'found';
    if (!packings.makeRoom(name, 10, 25, (packed) => dropped.push(packed.name))) return 'refused';
    packings.keep(name, {bytes: 10, name});
    return 'kept';
  });
  expect(packings.bytes).toBeLessThanOrEqual(25);
  return {served, dropped};
}

test('packings that are used in turn keep their places', () => {
  const {served, dropped} = turns('abcabcabc');
  expect(served.slice(3)).toEqual(['found', 'found', 'refused', 'found', 'found', 'refused']);
  expect(dropped).toEqual([]);
});

test('one that is no longer used gives way to one that is wanted twice', () => {
  const {served, dropped} = turns('abcbcbc');
  expect(served).toEqual(['kept', 'kept', 'refused', 'found', 'kept', 'found', 'found']);
  expect(dropped).toEqual(['a']);
});

test('no more give way than have to', () => {
  expect(turns('abccab')).toEqual({
    served: ['kept', 'kept', 'refused', 'kept', 'refused', 'found'],
    dropped: ['a'],
  });
});

test('one alone may be larger than the bound', () => {
  const packings = new Packings<{bytes: number}>();
  expect(packings.makeRoom('a', 100, 25)).toBe(true);
  packings.keep('a', {bytes: 100});
  expect(packings.makeRoom('b', 1, 25)).toBe(false);
  expect([...packings]).toEqual([{bytes: 100}]);
});

describe('one filter at many input sizes', () => {
  let registration: Im2winRegistration;
  beforeEach(async () => {
    await freshWasm();
    registration = await registerIm2win();
  });
  afterEach(() => registration.unregister());

  test.each([1, 3, 5, 7])('takes no more than stock keeps at the largest: %s×%s', (side) => {
    const [channels, largest] = [16, 64];
    const filter = tf.tensor4d(floats(side * side * channels * channels, 1), [
      side,
      side,
      channels,
      channels,
    ]);
    const bound = 4 * side * side * (2 * channels * channels + largest * largest);
    for (let pass = 0; pass < 3; ++pass) {
      for (const size of [7, 8, 11, 14, 20, 28, 33, 40, 56, largest]) {
        const problem = convCase([1, size, size, channels], [side, side, channels, channels], {pad: 'same'});
        tf.tidy(() => {
          const x = tf.tensor4d(floats(size * size * channels, size), [1, size, size, channels]);
          const output = tf.conv2d(x, filter, 1, 'same');
          if (pass === 2 && size < 12) expectConvolution(output, problem, LINEAR, {x, filter}, 'winograd');
        });
        expect(registration.memory().filterBytes).toBeLessThanOrEqual(bound);
      }
    }
    filter.dispose();
    expect(registration.memory().filterBytes).toBe(0);
  });
});
