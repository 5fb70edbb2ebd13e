// What the machine can do at the most: twelve independent chains of multiply
// and add, as many as the 6x8 tile has sums, with nothing to load.
#include "simd.h"

// Runs 4 * 12 * 4 multiply-adds `steps` times; returns their sum, which is of
// no use, so that nothing is left out.
IM2WIN_EXPORT(peak)
float peak(uint32_t steps, float value) {
  f32x4 sum[12];
  IM2WIN_UNROLL for (int i = 0; i < 12; ++i) sum[i] = splat(value);
  f32x4 x = splat(value);
  for (; steps != 0; --steps) {
    IM2WIN_UNROLL for (int k = 0; k < 4; ++k) {
      IM2WIN_UNROLL for (int i = 0; i < 12; ++i) {
        pin(x);  // Else the product is the same in every step, and computed
                 // once.
        sum[i] = mulAdd(x, x, sum[i]);
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
