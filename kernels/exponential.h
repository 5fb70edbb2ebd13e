// Functions made of exponentials, four values at a time, over the full range of
// floats. A NaN stays a NaN in each of them. Their errors are in
// test/unary.test.ts.
#pragma once

#include "activation.h"

// What these functions are computed from.
struct Constants : ExpTerms {
  f32x4 two = splat(2.0f);
  // Of exp: it is 0 and infinite there.
  f32x4 least = splat(-104.0f);
  f32x4 most = splat(89.0f);
  v128_t sign = wasm_i32x4_splat(INT32_MIN);
  v128_t bias = wasm_i32x4_splat(127);

  __attribute__((always_inline)) void hold() {
    ExpTerms::hold();
    pin(two), pin(least), pin(most), pin(sign), pin(bias);
  }
};

// exp(x): 0 below -103.98, infinite above 88.73, and a subnormal where that is
// what it comes to.
IM2WIN_INLINE f32x4 exponential(f32x4 x, const Constants& k) {
  const ExpParts parts = expParts(clamp(x, k.least, k.most), k);
  const v128_t n = wasm_i32x4_sub(parts.n, k.whole);
  // 2^n as a product of two, as it may be no normal float.
  const v128_t half = wasm_i32x4_shr(n, 1);
  const v128_t rest = wasm_i32x4_sub(n, half);
  const f32x4 p = wasm_f32x4_add(parts.q, k.one);
  const v128_t first = wasm_i32x4_shl(wasm_i32x4_add(half, k.bias), 23);
  const v128_t second = wasm_i32x4_shl(wasm_i32x4_add(rest, k.bias), 23);
  return wasm_f32x4_mul(wasm_f32x4_mul(p, first), second);
}

IM2WIN_INLINE f32x4 logistic(f32x4 v, const Constants& k) {
  return wasm_f32x4_div(k.one, onePlusExpOfMinus(v, k));
}

// By e = expm1(-2 |v|), which is accurate near 0: tanh(|v|) = -e / (2 + e).
IM2WIN_INLINE f32x4 hyperbolicTangent(f32x4 v, const Constants& k) {
  const f32x4 t = wasm_v128_or(wasm_f32x4_add(v, v), k.sign);
  const f32x4 e = expm1(atLeast(t, k.floor), k);
  const f32x4 tanh = wasm_f32x4_div(e, wasm_f32x4_add(e, k.two));
  return wasm_v128_bitselect(v, tanh, k.sign);
}
