/** Floats between -range and range, the same at every run; hundreds of millions in a second. */
export function uniform(count: number, seed: number, range = 1): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  const scale = range * 2 ** -31;
  // Marsaglia's xorshift; near seeds begin alike, so that they are spread first. A state is never 0.
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1;
  for (let i = 0; i < count; ++i) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = state * scale;
  }
  return values;
}
