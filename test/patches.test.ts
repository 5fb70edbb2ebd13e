// The demo page's patches: what is kept of them makes up the picture, and equals what the network gives for the whole one.
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {loadLayersModel} from '@tensorflow/tfjs-layers';
import {MARGIN, PATCH, patchesOf, patchSide} from '../examples/web/src/patches.ts';
import {freshWasm, tf} from './tf.ts';

test.each([
  [1, 1],
  [PATCH, PATCH + 1],
  [451, 300],
  [512, 512],
  [2 * PATCH - 2 * MARGIN, 2 * PATCH - 2 * MARGIN + 1],
])('the patches of %i × %i pixels lie in it and cover each once', (width, height) => {
  const covered = new Uint8Array(width * height);
  for (const {x, y} of patchesOf(width, height)) {
    for (const [span, length] of [[x, width] as const, [y, height] as const]) {
      const end = span.start + patchSide(length);
      expect(span.start).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(length);
      // Away from every inner border.
      expect(span.keepStart - span.start).toBeGreaterThanOrEqual(span.start === 0 ? 0 : MARGIN);
      expect(end - span.keepEnd).toBeGreaterThanOrEqual(end === length ? 0 : MARGIN);
    }
    for (let row = y.keepStart; row < y.keepEnd; ++row) {
      for (let column = x.keepStart; column < x.keepEnd; ++column) ++covered[row * width + column];
    }
  }
  expect(covered.every((times) => times === 1)).toBe(true);
});

test('no seams: patch by patch the network gives what it gives for the whole', async () => {
  await freshWasm();
  const network = await loadEsrgan();
  const [width, height] = [200, 150];
  const picture = tf.randomUniform([1, height, width, 3], 0, 255, 'float32', 1) as tf.Tensor4D;
  const whole = network.predict(picture) as tf.Tensor4D;
  const scale = tf.max(whole).dataSync()[0];
  for (const {x, y} of patchesOf(width, height)) {
    const patch = tf.slice(picture, [0, y.start, x.start, 0], [1, patchSide(height), patchSide(width), 3]);
    const size = [1, 2 * (y.keepEnd - y.keepStart), 2 * (x.keepEnd - x.keepStart), 3] as const;
    const kept = tf.slice(
      network.predict(patch) as tf.Tensor4D,
      [0, 2 * (y.keepStart - y.start), 2 * (x.keepStart - x.start), 0],
      [...size],
    );
    const expected = tf.slice(whole, [0, 2 * y.keepStart, 2 * x.keepStart, 0], [...size]);
    const largest = tf.max(tf.abs(tf.sub(kept, expected))).dataSync()[0];
    expect(largest).toBeLessThanOrEqual(1e-6 * scale);
  }
});

function loadEsrgan() {
  const folder = join(__dirname, '../node_modules/@upscalerjs/esrgan-slim/models/x2');
  const {modelTopology, weightsManifest} = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
  const [{paths, weights}] = weightsManifest;
  return loadLayersModel(
    tf.io.fromMemory({
      modelTopology,
      weightSpecs: weights,
      weightData: Uint8Array.from(readFileSync(join(folder, paths[0]))).buffer,
    }),
  );
}
