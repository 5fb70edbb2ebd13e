// Values from one layout to another.

/** An output that is no tensor of tfjs. */
export interface PeerOutput {
  dataSync(): Float32Array;
  dispose(): void;
}

/** [n, height, width, channels] to [n, channels, height, width]. */
export function nhwcToNchw(
  values: Float32Array,
  [n, height, width, channels]: readonly number[],
): Float32Array {
  const result = new Float32Array(values.length);
  const pixels = height * width;
  for (let i = 0; i < n; ++i) {
    for (let pixel = 0; pixel < pixels; ++pixel) {
      for (let channel = 0; channel < channels; ++channel) {
        result[(i * channels + channel) * pixels + pixel] = values[(i * pixels + pixel) * channels + channel];
      }
    }
  }
  return result;
}

/** [n, channels, height, width] to the NHWC shape that is given. */
export function nchwToNhwc(
  values: Float32Array,
  [n, height, width, channels]: readonly number[],
): Float32Array {
  // The same exchange of the two inner axes.
  return nhwcToNchw(values, [n, channels, 1, height * width]);
}

const BLOCK = 16;

/** A tfjs filter, [height, width, in, out], as [out, height, width, in]. */
export function ohwiFrom(
  filter: Float32Array,
  [height, width, inChannels, outChannels]: readonly number[],
): Float32Array {
  const result = new Float32Array(filter.length);
  const taps = height * width * inChannels;
  // A dense layer may have a hundred million weights: what is written together stays in the caches.
  for (let first = 0; first < taps; first += BLOCK) {
    const end = Math.min(first + BLOCK, taps);
    for (let out = 0; out < outChannels; ++out) {
      for (let tap = first; tap < end; ++tap) result[out * taps + tap] = filter[tap * outChannels + out];
    }
  }
  return result;
}

/** A tfjs filter as [out, in, height, width]. */
export function oihwFrom(
  filter: Float32Array,
  [height, width, inChannels, outChannels]: readonly number[],
): Float32Array {
  const ohwi = ohwiFrom(filter, [height, width, inChannels, outChannels]);
  return nhwcToNchw(ohwi, [outChannels, height, width, inChannels]);
}

/** [a, b, run] to [b, a, run]. */
export function swapOuter(values: Float32Array, a: number, b: number, run: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let i = 0; i < a; ++i) {
    for (let j = 0; j < b; ++j) {
      result.set(values.subarray((i * b + j) * run, (i * b + j + 1) * run), (j * a + i) * run);
    }
  }
  return result;
}
