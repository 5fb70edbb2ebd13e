// PNG files to tensors and back.
import {readFileSync, writeFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import {PNG} from 'pngjs';

/** A PNG as [1, height, width, 3], values 0 to 255. */
export function readPhotograph(file: URL): tf.Tensor4D {
  const {width, height, data} = PNG.sync.read(readFileSync(file));
  const values = new Float32Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; ++pixel) {
    for (let channel = 0; channel < 3; ++channel) values[3 * pixel + channel] = data[4 * pixel + channel];
  }
  return tf.tensor4d(values, [1, height, width, 3]);
}

/** The size × size middle of a photograph. */
export function centreCrop(photograph: tf.Tensor4D, size: number): tf.Tensor4D {
  const [, height, width] = photograph.shape;
  return tf.slice(photograph, [0, (height - size) >> 1, (width - size) >> 1, 0], [1, size, size, 3]);
}

export function writePhotograph(file: URL, [, height, width]: readonly number[], values: Float32Array): void {
  const png = new PNG({width, height});
  for (let pixel = 0; pixel < width * height; ++pixel) {
    for (let channel = 0; channel < 3; ++channel) {
      png.data[4 * pixel + channel] = Math.min(255, Math.max(0, Math.round(values[3 * pixel + channel])));
    }
    png.data[4 * pixel + 3] = 255;
  }
  writeFileSync(file, PNG.sync.write(png));
}
