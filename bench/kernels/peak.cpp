// What the machine can do at the most: twelve independent sums, as many as the
// 6x8 tile has.
#include "simd.h"

// Runs 4 * 12 * 4 multiply-adds `steps` times on the 4 * 12 * 4 floats at
// `values`; returns a sum, which is of no use, so that nothing is left out.
// Every product has a factor of its own, loaded anew: an engine computes equal
// ones once.
IM2WIN_EXPORT(peak)
float peak(uint32_t steps, const float* values) {
  f32x4 sum[12];
  IM2WIN_UNROLL for (int i = 0; i < 12; ++i) sum[i] = load(values + 4 * i);
  f32x4 x = load(values);
  for (; steps != 0; --steps) {
    IM2WIN_UNROLL for (int k = 0; k < 4; ++k) {
      IM2WIN_UNROLL for (int i = 0; i < 12; ++i) {
        sum[i] = mulAdd(load(values + 48 * k + 4 * i), x, sum[i]);
        pin(sum[i]);
      }
    }
  }
  f32x4 total = sum[0];
  IM2WIN_UNROLL for (int i = 1; i < 12; ++i) {
    total = wasm_f32x4_add(total, sum[i]);
  }
  return wasm_f32x4_extract_lane(total, 0);
}
