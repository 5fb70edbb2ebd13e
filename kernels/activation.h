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
  kGelu = 8,
  kGeluNew = 9,
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
  // A sum with it is rounded to a whole number, which is in its lowest bits
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

struct ExpParts {
  v128_t n;  // In the lowest bits of `ExpTerms::whole` plus n.
  f32x4 q;
};

IM2WIN_INLINE ExpParts expParts(f32x4 x, const ExpTerms& terms) {
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

// 2^n where that is a normal float, and infinite where n is 128.
IM2WIN_INLINE f32x4 scaleOf(const ExpParts& parts) {
  return wasm_i32x4_shl(parts.n, 23);
}

// expm1(x) for -87 <= x <= 88.
IM2WIN_INLINE f32x4 expm1(f32x4 x, const ExpTerms& terms) {
  const ExpParts parts = expParts(x, terms);
  const f32x4 scale = scaleOf(parts);
  return mulAdd(scale, parts.q, wasm_f32x4_sub(scale, terms.one));
}

IM2WIN_INLINE f32x4 clamp(f32x4 v, f32x4 low, f32x4 high) {
  return atMost(atLeast(v, low), high);
}

IM2WIN_INLINE f32x4 prelu(f32x4 v, f32x4 slope) {
  const v128_t negative = wasm_f32x4_lt(v, splat(0.0f));
  return wasm_v128_bitselect(wasm_f32x4_mul(v, slope), v, negative);
}

// 1 + exp(-v). From 87 on it is 1; from -88.38 down it is infinite. The series
// is that of expParts, of what is left of v.
IM2WIN_INLINE f32x4 onePlusExpOfMinus(f32x4 v, const ExpTerms& terms) {
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
  return mulAdd(p, wasm_i32x4_shl(bits, 23), terms.one);
}

// v / (1 + exp(-gate)), or for the sigmoid one instead of v.
IM2WIN_INLINE f32x4 gated(int32_t activation, f32x4 v, f32x4 gate,
                          const ExpTerms& terms) {
  const f32x4 below = onePlusExpOfMinus(gate, terms);
  return wasm_f32x4_div(activation == kSigmoid ? terms.one : v, below);
}

// gelu is v * Phi(v), and gelu_new what that comes to by tanh. Both are
// v * sigmoid(v * p(v^2)), and this is v * p(v^2): of gelu_new p is linear, and
// of gelu fitted for |v| <= 5.5, with an error of v * sigmoid(v * p(v^2)) below
// 2e-7 of the larger of v and 1.
IM2WIN_INLINE f32x4 geluGate(int32_t activation, f32x4 v) {
  const bool isNew = activation == kGeluNew;
  const f32x4 square = atMost(wasm_f32x4_mul(v, v), splat(30.25f));
  f32x4 p = splat(3.61127861e-9f);
  p = mulAdd(p, square, splat(-2.66894943e-7f));
  p = mulAdd(p, square, splat(7.93825438e-6f));
  p = mulAdd(p, square, splat(-1.10480585e-4f));
  p = mulAdd(p, square, splat(-6.62590901e-5f));
  p = mulAdd(p, isNew ? splat(0.0f) : square,
             splat(isNew ? 7.13548163e-2f : 7.26685673e-2f));
  p = mulAdd(p, square, splat(1.59576882f));
  return wasm_f32x4_mul(v, p);
}

// elu or tanh: by exp of -|v|, or twice that, which never overflows.
IM2WIN_INLINE f32x4 eluOrTanh(int32_t activation, f32x4 v,
                              const ExpTerms& terms) {
  f32x4 t = wasm_f32x4_neg(wasm_f32x4_abs(v));
  if (activation == kTanh) t = wasm_f32x4_add(t, t);
  // Accurate near 0, where exp(t) - 1 is not.
  const f32x4 e = expm1(atLeast(t, terms.floor), terms);
  if (activation == kElu) {
    return wasm_v128_bitselect(e, v, wasm_f32x4_lt(v, terms.zero));
  }
  // -expm1(-2|v|) / (2 + expm1(-2|v|)), with the sign of v.
  const f32x4 y = wasm_f32x4_div(e, wasm_f32x4_add(splat(2.0f), e));
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
  return expm1(t, terms);
}
