// What comes out, compared with stock tfjs in this process.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import jpeg from 'jpeg-js';
import {PNG} from 'pngjs';
import {loadNetwork} from '../../super-resolution/network.ts';
import {send} from '../load.ts';
import {formOf, jpegOf, type Patch, patch, pngOf, startService} from './setup.ts';

await tf.setBackend('wasm');
const network = await loadNetwork();

/** By stock tfjs, rounded to bytes; red, green and blue. */
function doubled({width, height, data}: Patch): Uint8ClampedArray {
  const rgb = Float32Array.from(data).filter((_, i) => i % 4 !== 3);
  const output = network.predict(tf.tensor4d(rgb, [1, height, width, 3])) as tf.Tensor;
  return Uint8ClampedArray.from(output.dataSync<'float32'>());
}

/** Both add up the same products in different orders, so that one in thousands is rounded to the byte beside. */
function assertDoubled(png: Uint8Array, expected: Patch): void {
  const {width, height, data} = PNG.sync.read(Buffer.from(png));
  assert.deepEqual([width, height], [2 * expected.width, 2 * expected.height]);
  const rgb = data.filter((_, i) => i % 4 !== 3);
  const values = doubled(expected);
  assert.equal(rgb.length, values.length);
  const off = values.map((value, i) => Math.abs(value - rgb[i]));
  assert.ok(Math.max(...off) <= 1, `a byte is off by ${Math.max(...off)}`);
  assert.ok(off.filter((one) => one > 0).length <= values.length / 1000, 'too many bytes are off by one');
}

test('pictures are doubled as by stock tfjs', async (t) => {
  const url = `${await startService(t, {threads: 2})}/upscale`;
  const cat = patch(64, 48);

  await t.test('a PNG in a form', async () => {
    const {status, body} = await send(url, formOf(pngOf(cat)));
    assert.equal(status, 200);
    assertDoubled(body, cat);
  });

  await t.test('a PNG as the body', async () => {
    assertDoubled((await send(url, pngOf(cat), {'content-type': 'image/png'})).body, cat);
  });

  await t.test('a JPEG, whatever its type is said to be', async () => {
    const file = jpegOf(cat);
    const expected = jpeg.decode(file, {useTArray: true});
    assertDoubled((await send(url, file, {'content-type': 'image/jpeg'})).body, expected);
    assertDoubled((await send(url, formOf(file, 'image/png'))).body, expected);
  });

  await t.test('a picture of one pixel', async () => {
    const {body} = await send(url, pngOf(patch(1, 1)));
    assertDoubled(body, patch(1, 1));
  });

  await t.test('what is transparent is on white', async () => {
    const half = patch(16, 16);
    const expected = patch(16, 16);
    for (let pixel = 0; pixel < 128; ++pixel) {
      half.data[4 * pixel + 3] = 0;
      expected.data.fill(255, 4 * pixel, 4 * pixel + 3);
    }
    assertDoubled((await send(url, pngOf(half))).body, expected);
  });
});

test('tfjs alone gives the same', async (t) => {
  const origin = await startService(t, {kernels: 'stock', threads: undefined});
  assertDoubled((await send(`${origin}/upscale`, pngOf(patch(32, 32)))).body, patch(32, 32));
  const {kernels, threads, backend} = (await (await fetch(`${origin}/healthz`)).json()) as Record<
    string,
    unknown
  >;
  assert.deepEqual({kernels, threads, backend}, {kernels: 'stock', threads: 1, backend: 'wasm'});
});
