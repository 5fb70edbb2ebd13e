// Functions made of exponentials and logarithms, four values at a time, over
// the full range of floats. A NaN stays a NaN in each of them. Their errors are
// in test/unary.test.ts.
#pragma once

#include "activation.h"

// What these functions are computed from.
struct Constants : ExpTerms {
  f32x4 two = splat(2.0f);
  f32x4 lowest = splat(-104.0f);
  f32x4 highest = splat(89.0f);
  v128_t sign = wasm_i32x4_splat(INT32_MIN);

  __attribute__((always_inline)) void hold() {
    ExpTerms::hold();
    pin(two), pin(lowest), pin(highest), pin(sign);
  }
};

// exp(x): 0 below -103.98, infinite above 88.73, and a subnormal where that is
// what it comes to.
IM2WIN_INLINE f32x4 exponential(f32x4 x, const Constants& k) {
  const ExpRest parts = expRest(clamp(x, k.lowest, k.highest), k);
  const v128_t n = wasm_i32x4_sub(parts.n, k.whole);
  // 2^n as a product of two, as it may be no normal float.
  const v128_t half = wasm_i32x4_shr(n, 1);
  const v128_t rest = wasm_i32x4_sub(n, half);
  const f32x4 p = wasm_f32x4_add(parts.q, k.one);
  const v128_t first = wasm_i32x4_shl(wasm_i32x4_add(half, k.bias), 23);
  const v128_t second = wasm_i32x4_shl(wasm_i32x4_add(rest, k.bias), 23);
  return wasm_f32x4_mul(wasm_f32x4_mul(p, first), second);
}

// 1 / (1 + exp(-v)). From 87 on it is 1; from -88.38 down exp(-v) counts as
// infinite.
IM2WIN_INLINE f32x4 logistic(f32x4 v, const Constants& k) {
  const f32x4 t = clamp(wasm_f32x4_sub(k.zero, v), k.floor, k.highest);
  const ExpParts parts = expParts(t, k);
  // An infinite scale must not meet a negative q.
  const f32x4 p = wasm_f32x4_add(parts.q, k.one);
  return wasm_f32x4_div(k.one, mulAdd(p, parts.scale, k.one));
}

// By e = expm1(-2 |v|), which is accurate near 0: tanh(|v|) = -e / (2 + e).
IM2WIN_INLINE f32x4 hyperbolicTangent(f32x4 v, const Constants& k) {
  const f32x4 t = wasm_v128_or(wasm_f32x4_add(v, v), k.sign);
  const ExpParts parts = expParts(atLeast(t, k.floor), k);
  const f32x4 e =
      mulAdd(parts.scale, parts.q, wasm_f32x4_sub(parts.scale, k.one));
  const f32x4 tanh = wasm_f32x4_div(e, wasm_f32x4_add(e, k.two));
  return wasm_v128_bitselect(v, tanh, k.sign);
}

// log(v): with v = 2^n m and sqrt(1/2) <= m < sqrt(2), n log 2 + log m. Of m it
// takes 2 atanh(s) = 2 s + s^3 (2/3 + 2/5 s^2 + ...), where s = (m - 1) / (m +
// 1), |s| < 0.172 (truncation below 3e-9 of it).
IM2WIN_INLINE f32x4 logarithm(f32x4 v, const Constants& k) {
  const v128_t small = wasm_f32x4_lt(v, splat(0x1p-126f));
  const f32x4 normal =
      wasm_v128_bitselect(wasm_f32x4_mul(v, splat(0x1p24f)), v, small);
  // Less the bits of sqrt(1/2), so that the exponent's are n.
  const v128_t bits = wasm_i32x4_sub(normal, wasm_i32x4_splat(0x3f3504f3));
  const v128_t exponent = wasm_i32x4_shr(bits, 23);
  const v128_t n =
      wasm_i32x4_sub(exponent, wasm_v128_and(small, wasm_i32x4_splat(24)));
  const f32x4 m = wasm_i32x4_sub(normal, wasm_i32x4_shl(exponent, 23));
  const f32x4 f = wasm_f32x4_sub(m, k.one);
  const f32x4 s = wasm_f32x4_div(f, wasm_f32x4_add(f, k.two));
  const f32x4 square = wasm_f32x4_mul(s, s);
  f32x4 series = splat(2.0f / 9);
  series = mulAdd(series, square, splat(2.0f / 7));
  series = mulAdd(series, square, splat(2.0f / 5));
  series = mulAdd(series, square, splat(2.0f / 3));
  series = wasm_f32x4_mul(series, square);
  // 2 s = f - s f, of which f is exact.
  const f32x4 times = wasm_f32x4_convert_i32x4(n);
  f32x4 rest = wasm_f32x4_mul(s, wasm_f32x4_sub(series, f));
  rest = mulAdd(times, splat(-2.12194440e-4f), rest);
  f32x4 log = wasm_f32x4_add(f, rest);
  log = mulAdd(times, splat(0.693359375f), log);
  // Infinity and NaN are what they are, and nothing below 0 has a logarithm.
  const v128_t finite = wasm_f32x4_lt(v, splat(__builtin_inff()));
  log = wasm_v128_bitselect(log, v, finite);
  const v128_t positive = wasm_f32x4_gt(v, k.zero);
  const f32x4 edge =
      wasm_v128_bitselect(splat(-__builtin_inff()), splat(__builtin_nanf("")),
                          wasm_f32x4_eq(v, k.zero));
  return wasm_v128_bitselect(log, edge, positive);
}

// log(1 + exp(v)) = max(v, 0) + log(1 + e) with e = exp(-|v|), by the series
// of logarithm() with s = e / (2 + e) <= 1/3 (truncation below 2e-9).
IM2WIN_INLINE f32x4 softplus(f32x4 v, const Constants& k) {
  const f32x4 e = exponential(wasm_v128_or(v, k.sign), k);
  const f32x4 s = wasm_f32x4_div(e, wasm_f32x4_add(e, k.two));
  const f32x4 square = wasm_f32x4_mul(s, s);
  f32x4 series = splat(2.0f / 15);
  series = mulAdd(series, square, splat(2.0f / 13));
  series = mulAdd(series, square, splat(2.0f / 11));
  series = mulAdd(series, square, splat(2.0f / 9));
  series = mulAdd(series, square, splat(2.0f / 7));
  series = mulAdd(series, square, splat(2.0f / 5));
  series = mulAdd(series, square, splat(2.0f / 3));
  series = mulAdd(series, square, k.two);
  return mulAdd(series, s, atLeast(v, k.zero));
}
