// Two vectors side by side, as one. V8 can compute both with a single
// instruction of 256 bits where each step of the two is written one behind the
// other, from their loads to their stores: see docs/design.md. Elsewhere they
// cost what two vectors cost.
#pragma once

#include "activation.h"

struct f32x8 {
  f32x4 low, high;
};

template <typename Vector>
constexpr int lanesOf = sizeof(Vector) / sizeof(float);

// Hides how an address came about. Otherwise the compiler may compute that of
// the upper vector anew, and V8 sees no pair.
template <typename T>
IM2WIN_INLINE T* asOne(T* p) {
  asm("" : "+r"(p));
  return p;
}

template <typename Vector>
IM2WIN_INLINE Vector loadAs(const float* p) {
  if constexpr (lanesOf<Vector> == 4) {
    return load(p);
  } else {
    p = asOne(p);
    return {load(p), load(p + 4)};
  }
}

IM2WIN_INLINE void storeAs(float* p, f32x4 v) { store(p, v); }

// The upper one first: V8 would store the lower one twice, in case that the
// upper one is beyond the end of memory.
IM2WIN_INLINE void storeAs(float* p, f32x8 v) {
  p = asOne(p);
  asm volatile("" ::: "memory");
  store(p + 4, v.high);
  asm volatile("" ::: "memory");
  store(p, v.low);
}

template <typename Vector>
IM2WIN_INLINE Vector both(f32x4 v) {
  if constexpr (lanesOf<Vector> == 4) {
    return v;
  } else {
    return {v, v};
  }
}

// A constant in each lane. V8 makes a constant of 256 bits in seven
// instructions, and one that it does not know for a constant in three.
template <typename Vector>
IM2WIN_INLINE Vector constant(float value) {
  asm("" : "+r"(value));
  return both<Vector>(splat(value));
}

IM2WIN_INLINE f32x4 add(f32x4 a, f32x4 b) { return wasm_f32x4_add(a, b); }

IM2WIN_INLINE f32x8 add(f32x8 a, f32x8 b) {
  return {add(a.low, b.low), add(a.high, b.high)};
}

IM2WIN_INLINE f32x4 sub(f32x4 a, f32x4 b) { return wasm_f32x4_sub(a, b); }

IM2WIN_INLINE f32x8 sub(f32x8 a, f32x8 b) {
  return {sub(a.low, b.low), sub(a.high, b.high)};
}

IM2WIN_INLINE f32x4 mul(f32x4 a, f32x4 b) { return wasm_f32x4_mul(a, b); }

IM2WIN_INLINE f32x8 mul(f32x8 a, f32x8 b) {
  return {mul(a.low, b.low), mul(a.high, b.high)};
}

IM2WIN_INLINE f32x8 mulAdd(f32x8 a, f32x8 b, f32x8 c) {
  return {mulAdd(a.low, b.low, c.low), mulAdd(a.high, b.high, c.high)};
}

IM2WIN_INLINE f32x8 clamp(f32x8 y, f32x8 low, f32x8 high) {
  return {clamp(y.low, low.low, high.low), clamp(y.high, low.high, high.high)};
}

IM2WIN_INLINE f32x8 prelu(f32x8 y, f32x8 slope) {
  return {prelu(y.low, slope.low), prelu(y.high, slope.high)};
}

IM2WIN_INLINE void pin(f32x8& value) {
  pin(value.low);
  pin(value.high);
}
