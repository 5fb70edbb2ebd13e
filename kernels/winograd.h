// Winograd's minimal filtering F(m, r): m outputs of an r-tap filter from
// POINTS = m + r - 1 products (Winograd, "Arithmetic Complexity of
// Computations", 1980; for convolution layers Lavin and Gray, CVPR 2016). By
// Toom and Cook's construction the transforms are evaluations of polynomials at
//   4 points: 0, 1, -1, infinity
//   6 points: 0, 3/4, -3/4, 3/2, -3/2, infinity
//   8 points: 0, 1, -1, 2, -2, 1/2, -1/2, infinity
// in this order. The input's transform depends on the number of points alone,
// the filter's on r as well, and the output's on m. With the textbooks' 1 and
// 2, six points along both height and width would have three times the error.
#pragma once

#include "simd.h"

// The positive point of a pair, of which there are points / 2 - 1: each has its
// negative among the points. Every power of it that occurs is exact in float.
constexpr float pairPoint(int points, int pair) {
  if (points == 6) return pair == 0 ? 0.75f : 1.5f;
  return pair == 0 ? 1.0f : pair == 1 ? 2.0f : 0.5f;
}

constexpr float power(float x, int n) {
  return n == 0 ? 1.0f : x * power(x, n - 1);
}

// The filter's scale at point p: 1 / prod(p - q) over the other finite points
// q. It is the same at p and -p. `pair` is -1 for the point 0.
constexpr float filterScale(int points, int pair) {
  const int pairs = points / 2 - 1;
  const float p = pair < 0 ? 0.0f : pairPoint(points, pair);
  float product = pair < 0 ? 1.0f : 2.0f * p * p;
  for (int k = 0; k < pairs; ++k) {
    const float q = pairPoint(points, k);
    if (k != pair) product *= p * p - q * q;
  }
  return 1.0f / product;
}

// The input's transform: v[i] is the sum of d, weighted by the coefficients of
// prod(x - q) over the finite points q other than point i.
template <int POINTS>
IM2WIN_INLINE void inputTransform(const f32x4* d, f32x4* v);

template <>
inline void inputTransform<4>(const f32x4* d, f32x4* v) {
  v[0] = wasm_f32x4_sub(d[2], d[0]);
  v[1] = wasm_f32x4_add(d[2], d[1]);
  v[2] = wasm_f32x4_sub(d[2], d[1]);
  v[3] = wasm_f32x4_sub(d[3], d[1]);
}

// The values at a point and at its negative, from the halves of even and odd
// powers.
IM2WIN_INLINE void plusMinus(f32x4 even, f32x4 odd, f32x4* v) {
  v[0] = wasm_f32x4_add(even, odd);
  v[1] = wasm_f32x4_sub(even, odd);
}

template <>
inline void inputTransform<6>(const f32x4* d, f32x4* v) {
  const f32x4 squares = splat(-2.8125f);  // -(a^2 + b^2), a = 3/4, b = 3/2
  const f32x4 product = splat(1.265625f);
  const f32x4 minusA2 = splat(-0.5625f);
  const f32x4 minusB2 = splat(-2.25f);
  const f32x4 a = splat(0.75f);
  const f32x4 b = splat(1.5f);
  v[0] = mulAdd(d[0], product, mulAdd(d[2], squares, d[4]));
  plusMinus(mulAdd(d[2], minusB2, d[4]),
            wasm_f32x4_mul(a, mulAdd(d[1], minusB2, d[3])), v + 1);
  plusMinus(mulAdd(d[2], minusA2, d[4]),
            wasm_f32x4_mul(b, mulAdd(d[1], minusA2, d[3])), v + 3);
  v[5] = mulAdd(d[1], product, mulAdd(d[3], squares, d[5]));
}

template <>
inline void inputTransform<8>(const f32x4* d, f32x4* v) {
  const f32x4 c525 = splat(5.25f);
  const f32x4 c425 = splat(-4.25f);
  const f32x4 c125 = splat(-1.25f);
  const f32x4 c25 = splat(-2.5f);
  const f32x4 c5 = splat(-5.0f);
  const f32x4 four = splat(4.0f);
  const f32x4 two = splat(2.0f);
  const f32x4 half = splat(0.5f);
  const f32x4 quarter = splat(0.25f);
  v[0] = mulAdd(wasm_f32x4_sub(d[2], d[4]), c525, wasm_f32x4_sub(d[6], d[0]));
  plusMinus(mulAdd(d[4], c425, wasm_f32x4_add(d[2], d[6])),
            mulAdd(d[3], c425, wasm_f32x4_add(d[1], d[5])), v + 1);
  plusMinus(mulAdd(d[2], quarter, mulAdd(d[4], c125, d[6])),
            mulAdd(d[1], half, mulAdd(d[3], c25, wasm_f32x4_mul(d[5], two))),
            v + 3);
  plusMinus(mulAdd(d[2], four, mulAdd(d[4], c5, d[6])),
            mulAdd(d[1], two, mulAdd(d[3], c25, wasm_f32x4_mul(d[5], half))),
            v + 5);
  v[7] = mulAdd(wasm_f32x4_sub(d[3], d[5]), c525, wasm_f32x4_sub(d[7], d[1]));
}

// Output J of a tile: the sum of p^J * product(p) over the finite points p. The
// product at infinity belongs to the last output alone, and is not added here.
// `even` and `odd` hold product(p) + product(-p) and product(p) - product(-p)
// of each pair.
template <int POINTS, int J>
IM2WIN_INLINE f32x4 outputTransform(f32x4 zero, const f32x4* even,
                                    const f32x4* odd) {
  const f32x4* sums = J % 2 == 0 ? even : odd;
  if constexpr (J == 0) {
    f32x4 y = wasm_f32x4_add(zero, sums[0]);
    if constexpr (POINTS >= 6) y = wasm_f32x4_add(sums[1], y);
    if constexpr (POINTS >= 8) y = wasm_f32x4_add(sums[2], y);
    return y;
  } else {
    // Scales have names, because a call of power() in an expression is not
    // always folded.
    f32x4 y = sums[0];
    if constexpr (POINTS == 6) {
      constexpr float scale = power(pairPoint(POINTS, 0), J);
      y = wasm_f32x4_mul(y, splat(scale));
    }
    if constexpr (POINTS >= 6) {
      constexpr float scale = power(pairPoint(POINTS, 1), J);
      y = mulAdd(sums[1], splat(scale), y);
    }
    if constexpr (POINTS >= 8) {
      constexpr float scale = power(pairPoint(POINTS, 2), J);
      y = mulAdd(sums[2], splat(scale), y);
    }
    return y;
  }
}
