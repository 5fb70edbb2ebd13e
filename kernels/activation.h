// Activations, four values at a time, in registers. A NaN stays a NaN in each
// of them.
#pragma once

#include "simd.h"

// linear, relu, relu6 and clip are one clamp with different bounds; leakyrelu
// is a prelu whose slope is the same everywhere. The numbers are shared with
// src/wasm/job.ts.
enum Activation : int32_t {
  kClamp = 0,
  kPrelu = 1,
  kSigmoid = 2,
  kElu = 3,
  kTanh = 4,
  kSilu = 5,
  kHardsigmoid = 6,
  kHardswish = 7,
};

// exp(x) = 2^n * (1 + q) for -87 <= x <= 0: n = round(x / ln 2), and q is
// expm1 of the rest, |rest| <= ln 2 / 2, by its Taylor series to the seventh
// power (truncation below 6e-9). ln 2 is split in two (Cody and Waite), so that
// n times its upper part is exact.
struct ExpParts {
  f32x4 scale;  // 2^n
  f32x4 q;      // expm1(rest)
};

IM2WIN_INLINE ExpParts expParts(f32x4 x) {
  const f32x4 n = wasm_f32x4_nearest(wasm_f32x4_mul(x, splat(1.44269504f)));
  f32x4 rest = wasm_f32x4_sub(x, wasm_f32x4_mul(n, splat(0.693359375f)));
  rest = wasm_f32x4_sub(rest, wasm_f32x4_mul(n, splat(-2.12194440e-4f)));
  f32x4 series = splat(1.0f / 5040);
  series = mulAdd(series, rest, splat(1.0f / 720));
  series = mulAdd(series, rest, splat(1.0f / 120));
  series = mulAdd(series, rest, splat(1.0f / 24));
  series = mulAdd(series, rest, splat(1.0f / 6));
  series = mulAdd(series, rest, splat(0.5f));
  const f32x4 q = mulAdd(wasm_f32x4_mul(rest, rest), series, rest);
  const v128_t exponent =
      wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127));
  return {wasm_i32x4_shl(exponent, 23), q};
}

// Below this, exp(x) is under the smallest normal float.
static const float kExpFloor = -87.0f;

IM2WIN_INLINE f32x4 clamp(f32x4 v, f32x4 low, f32x4 high) {
  return atMost(atLeast(v, low), high);
}

IM2WIN_INLINE f32x4 prelu(f32x4 v, f32x4 slope) {
  const v128_t negative = wasm_f32x4_lt(v, splat(0.0f));
  return wasm_v128_bitselect(wasm_f32x4_mul(v, slope), v, negative);
}

// The activations that exp is a part of: of -|v|, or twice that, which never
// overflows.
IM2WIN_INLINE f32x4 exponential(int32_t activation, f32x4 v) {
  f32x4 t = wasm_f32x4_neg(wasm_f32x4_abs(v));
  if (activation == kTanh) t = wasm_f32x4_add(t, t);
  const ExpParts parts = expParts(atLeast(t, splat(kExpFloor)));
  const v128_t negative = wasm_f32x4_lt(v, splat(0.0f));
  const f32x4 one = splat(1.0f);
  if (activation == kElu || activation == kTanh) {
    // Accurate near 0, where exp(t) - 1 is not.
    const f32x4 expm1 =
        mulAdd(parts.scale, parts.q, wasm_f32x4_sub(parts.scale, one));
    if (activation == kElu) return wasm_v128_bitselect(expm1, v, negative);
    // -expm1(-2|v|) / (2 + expm1(-2|v|)), with the sign of v.
    const f32x4 y = wasm_f32x4_div(expm1, wasm_f32x4_add(splat(2.0f), expm1));
    return wasm_v128_bitselect(v, y, splat(-0.0f));
  }
  f32x4 e = mulAdd(parts.scale, parts.q, parts.scale);
  e = wasm_v128_andnot(e, wasm_f32x4_lt(t, splat(kExpFloor)));
  const f32x4 numerator = wasm_v128_bitselect(e, one, negative);
  const f32x4 y = wasm_f32x4_div(numerator, wasm_f32x4_add(one, e));
  return activation == kSilu ? wasm_f32x4_mul(v, y) : y;
}

// A line of slope `alpha` through `beta`, from 0 to 1.
IM2WIN_INLINE f32x4 hardsigmoid(f32x4 v, f32x4 alpha, f32x4 beta) {
  return clamp(mulAdd(v, alpha, beta), splat(0.0f), splat(1.0f));
}

IM2WIN_INLINE f32x4 hardswish(f32x4 v, f32x4 alpha, f32x4 beta) {
  return wasm_f32x4_mul(v, hardsigmoid(v, alpha, beta));
}
