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

#include "pair.h"

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
template <int POINTS, typename Vector>
IM2WIN_INLINE void inputTransform(const Vector* d, Vector* v) {
  const auto all = constant<Vector>;
  // The values at a point and at its negative, from the halves of even and odd
  // powers.
  const auto plusMinus = [](Vector even, Vector odd, Vector* to)
                             __attribute__((always_inline)) {
                               to[0] = add(even, odd);
                               to[1] = sub(even, odd);
                             };
  if constexpr (POINTS == 4) {
    v[0] = sub(d[2], d[0]);
    v[1] = add(d[2], d[1]);
    v[2] = sub(d[2], d[1]);
    v[3] = sub(d[3], d[1]);
  } else if constexpr (POINTS == 6) {
    const Vector squares = all(-2.8125f);  // -(a^2 + b^2), a = 3/4, b = 3/2
    const Vector product = all(1.265625f);
    const Vector minusA2 = all(-0.5625f);
    const Vector minusB2 = all(-2.25f);
    const Vector a = all(0.75f);
    const Vector b = all(1.5f);
    v[0] = mulAdd(d[0], product, mulAdd(d[2], squares, d[4]));
    plusMinus(mulAdd(d[2], minusB2, d[4]), mul(a, mulAdd(d[1], minusB2, d[3])),
              v + 1);
    plusMinus(mulAdd(d[2], minusA2, d[4]), mul(b, mulAdd(d[1], minusA2, d[3])),
              v + 3);
    v[5] = mulAdd(d[1], product, mulAdd(d[3], squares, d[5]));
  } else {
    const Vector c525 = all(5.25f);
    const Vector c425 = all(-4.25f);
    const Vector c125 = all(-1.25f);
    const Vector c25 = all(-2.5f);
    const Vector c5 = all(-5.0f);
    const Vector four = all(4.0f);
    const Vector two = all(2.0f);
    const Vector half = all(0.5f);
    const Vector quarter = all(0.25f);
    v[0] = mulAdd(sub(d[2], d[4]), c525, sub(d[6], d[0]));
    plusMinus(mulAdd(d[4], c425, add(d[2], d[6])),
              mulAdd(d[3], c425, add(d[1], d[5])), v + 1);
    plusMinus(mulAdd(d[2], quarter, mulAdd(d[4], c125, d[6])),
              mulAdd(d[1], half, mulAdd(d[3], c25, mul(d[5], two))), v + 3);
    plusMinus(mulAdd(d[2], four, mulAdd(d[4], c5, d[6])),
              mulAdd(d[1], two, mulAdd(d[3], c25, mul(d[5], half))), v + 5);
    v[7] = mulAdd(sub(d[3], d[5]), c525, sub(d[7], d[1]));
  }
}

// Output J of a tile: the sum of p^J * product(p) over the finite points p. The
// product at infinity belongs to the last output alone, and is not added here.
// `even` and `odd` hold product(p) + product(-p) and product(p) - product(-p)
// of each pair.
template <int POINTS, int J, typename Vector>
IM2WIN_INLINE Vector outputTransform(Vector zero, const Vector* even,
                                     const Vector* odd) {
  const Vector* sums = J % 2 == 0 ? even : odd;
  if constexpr (J == 0) {
    Vector y = add(zero, sums[0]);
    if constexpr (POINTS >= 6) y = add(sums[1], y);
    if constexpr (POINTS >= 8) y = add(sums[2], y);
    return y;
  } else {
    // Scales have names, because a call of power() in an expression is not
    // always folded.
    Vector y = sums[0];
    if constexpr (POINTS == 6) {
      constexpr float scale = power(pairPoint(POINTS, 0), J);
      y = mul(y, constant<Vector>(scale));
    }
    if constexpr (POINTS >= 6) {
      constexpr float scale = power(pairPoint(POINTS, 1), J);
      y = mulAdd(sums[1], constant<Vector>(scale), y);
    }
    if constexpr (POINTS >= 8) {
      constexpr float scale = power(pairPoint(POINTS, 2), J);
      y = mulAdd(sums[2], constant<Vector>(scale), y);
    }
    return y;
  }
}
