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

// Below this, exp(x) is under the smallest normal float.
static const float kExpFloor = -87.0f;

// exp(x) = 2^n * (1 + q) for -104 <= x <= 89: n = round(x / ln 2), and q is
// expm1 of the rest, |rest| <= ln 2 / 2, by a polynomial of the sixth degree
// whose error is below 1.8e-8 of q and 6.2e-9 of 1 + q (fitted by weighted
// least squares, the weights chosen anew until the error's peaks were alike).
// ln 2 is split in two (Cody and Waite), so that n times its upper part is
// exact.
struct ExpTerms {
  f32x4 perLn2 = splat(1.44269504f);
  // A sum with it is rounded to a whole number, which is in its lowest bits:
  // with the bias of a float's exponent.
  f32x4 whole = splat(0x1.8p23f + 127);
  f32x4 ln2 = splat(-0.693359375f);
  f32x4 ln2Rest = splat(2.12194440e-4f);
  f32x4 c6 = splat(1.38825097e-3f);
  f32x4 c5 = splat(8.36658012e-3f);
  f32x4 c4 = splat(4.16672006e-2f);
  f32x4 c3 = splat(1.66665435e-1f);
  f32x4 c2 = splat(4.9999997e-1f);
  f32x4 zero = splat(0.0f);
  f32x4 one = splat(1.0f);
  f32x4 floor = splat(kExpFloor);
  // Of a logistic function: it is 0 and 1 there.
  f32x4 lowest = splat(-89.0f);
  f32x4 highest = splat(87.0f);

  // Outside of a loop: V8 makes a constant of a vector anew wherever it is
  // used, in several instructions.
  __attribute__((always_inline)) void hold() {
    pin(perLn2), pin(whole), pin(ln2), pin(ln2Rest);
    pin(c6), pin(c5), pin(c4), pin(c3), pin(c2);
    pin(zero), pin(one), pin(floor), pin(lowest), pin(highest);
  }
};

struct ExpRest {
  v128_t n;  // `ExpTerms::whole` plus n.
  f32x4 q;   // expm1(rest)
};

IM2WIN_INLINE ExpRest expRest(f32x4 x, const ExpTerms& terms) {
  const f32x4 bits = mulAdd(x, terms.perLn2, terms.whole);
  const f32x4 n = wasm_f32x4_sub(bits, terms.whole);
  f32x4 rest = mulAdd(n, terms.ln2, x);
  rest = mulAdd(n, terms.ln2Rest, rest);
  f32x4 series = mulAdd(terms.c6, rest, terms.c5);
  series = mulAdd(series, rest, terms.c4);
  series = mulAdd(series, rest, terms.c3);
  series = mulAdd(series, rest, terms.c2);
  return {bits, mulAdd(wasm_f32x4_mul(rest, rest), series, rest)};
}

struct ExpParts {
  f32x4 scale;  // 2^n
  f32x4 q;
};

// The same for -87 <= x <= 88, where 2^n is a normal float.
IM2WIN_INLINE ExpParts expParts(f32x4 x, const ExpTerms& terms = ExpTerms()) {
  const ExpRest parts = expRest(x, terms);
  return {wasm_i32x4_shl(parts.n, 23), parts.q};
}

IM2WIN_INLINE f32x4 clamp(f32x4 v, f32x4 low, f32x4 high) {
  return atMost(atLeast(v, low), high);
}

IM2WIN_INLINE f32x4 prelu(f32x4 v, f32x4 slope) {
  const v128_t negative = wasm_f32x4_lt(v, splat(0.0f));
  return wasm_v128_bitselect(wasm_f32x4_mul(v, slope), v, negative);
}

// 1 / (1 + exp(-v)). From 87 on it is 1; from -88.38 down exp(-v) counts as
// infinite. The series is the same, of what is left of v.
IM2WIN_INLINE f32x4 logistic(f32x4 v, const ExpTerms& terms) {
  const f32x4 x = clamp(v, terms.lowest, terms.highest);
  const f32x4 bits = negMulAdd(x, terms.perLn2, terms.whole);
  const f32x4 n = wasm_f32x4_sub(bits, terms.whole);
  f32x4 rest = negMulAdd(n, terms.ln2, x);
  rest = negMulAdd(n, terms.ln2Rest, rest);
  f32x4 p = negMulAdd(terms.c6, rest, terms.c5);
  p = negMulAdd(p, rest, terms.c4);
  p = negMulAdd(p, rest, terms.c3);
  p = negMulAdd(p, rest, terms.c2);
  p = negMulAdd(p, rest, terms.one);
  p = negMulAdd(p, rest, terms.one);
  const f32x4 scale = wasm_i32x4_shl(bits, 23);
  return wasm_f32x4_div(terms.one, mulAdd(p, scale, terms.one));
}

// The activations that exp is a part of.
IM2WIN_INLINE f32x4 exponential(int32_t activation, f32x4 v,
                                const ExpTerms& terms = ExpTerms()) {
  if (activation != kElu && activation != kTanh) {
    const f32x4 y = logistic(v, terms);
    return activation == kSilu ? wasm_f32x4_mul(v, y) : y;
  }
  // Of -|v|, or twice that, which never overflows.
  f32x4 t = wasm_f32x4_neg(wasm_f32x4_abs(v));
  if (activation == kTanh) t = wasm_f32x4_add(t, t);
  const ExpParts parts = expParts(atLeast(t, terms.floor), terms);
  // Accurate near 0, where exp(t) - 1 is not.
  const f32x4 expm1 =
      mulAdd(parts.scale, parts.q, wasm_f32x4_sub(parts.scale, terms.one));
  if (activation == kElu) {
    return wasm_v128_bitselect(expm1, v, wasm_f32x4_lt(v, terms.zero));
  }
  // -expm1(-2|v|) / (2 + expm1(-2|v|)), with the sign of v.
  const f32x4 y = wasm_f32x4_div(expm1, wasm_f32x4_add(splat(2.0f), expm1));
  return wasm_v128_bitselect(v, y, splat(-0.0f));
}

// A line of slope `alpha` through `beta`, from 0 to 1.
IM2WIN_INLINE f32x4 hardsigmoid(f32x4 v, f32x4 alpha, f32x4 beta) {
  return clamp(mulAdd(v, alpha, beta), splat(0.0f), splat(1.0f));
}

IM2WIN_INLINE f32x4 hardswish(f32x4 v, f32x4 alpha, f32x4 beta) {
  return wasm_f32x4_mul(v, hardsigmoid(v, alpha, beta));
}

// expm1(v) where v < 0, and 0 elsewhere.
IM2WIN_INLINE f32x4 expm1Below0(f32x4 v, const ExpTerms& terms = ExpTerms()) {
  const f32x4 t = atLeast(atMost(v, terms.zero), terms.floor);
  const ExpParts parts = expParts(t, terms);
  return mulAdd(parts.scale, parts.q, wasm_f32x4_sub(parts.scale, terms.one));
}
