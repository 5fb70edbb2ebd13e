// The f32x4 vocabulary of the kernels. Everything that differs between the two
// flavours is here: relaxed fuses multiply and add (one rounding, where the
// machine has FMA), strict multiplies and then adds (two roundings).
#pragma once

#include <stdint.h>
#include <wasm_simd128.h>

#define IM2WIN_EXPORT(name) extern "C" __attribute__((export_name(#name)))

// Tiles stay functions of their own: V8 compiles a wasm function anew once it
// has been called often enough, never while it runs.
#define IM2WIN_NOINLINE inline __attribute__((noinline))
#define IM2WIN_INLINE static inline __attribute__((always_inline))
// Its loops stay as they are written: what is to be unrolled is, and nothing
// else.
#define IM2WIN_SMALL inline __attribute__((noinline, minsize))
#define IM2WIN_UNROLL _Pragma("clang loop unroll(full)")

using f32x4 = v128_t;

IM2WIN_INLINE f32x4 load(const float* p) { return wasm_v128_load(p); }

IM2WIN_INLINE f32x4 loadSplat(const float* p) {
  return wasm_v128_load32_splat(p);
}

IM2WIN_INLINE void store(float* p, f32x4 v) { wasm_v128_store(p, v); }

IM2WIN_INLINE f32x4 splat(float v) { return wasm_f32x4_splat(v); }

// a * b + c
IM2WIN_INLINE f32x4 mulAdd(f32x4 a, f32x4 b, f32x4 c) {
#ifdef IM2WIN_RELAXED
  return wasm_f32x4_relaxed_madd(a, b, c);
#else
  return wasm_f32x4_add(wasm_f32x4_mul(a, b), c);
#endif
}

// c - a * b
IM2WIN_INLINE f32x4 negMulAdd(f32x4 a, f32x4 b, f32x4 c) {
#ifdef IM2WIN_RELAXED
  return wasm_f32x4_relaxed_nmadd(a, b, c);
#else
  return wasm_f32x4_sub(c, wasm_f32x4_mul(a, b));
#endif
}

// The larger or smaller of v and a bound that is not NaN. The operand order
// keeps a NaN in v, as Math.max and Math.min do, and is one instruction on x86.
IM2WIN_INLINE f32x4 atLeast(f32x4 v, f32x4 bound) {
  return wasm_f32x4_pmax(v, bound);
}

IM2WIN_INLINE f32x4 atMost(f32x4 v, f32x4 bound) {
  return wasm_f32x4_pmin(v, bound);
}

// Keeps the code before and after in the order in which it is written, and
// hides from the compiler how a value came about. Costs no instruction. Without
// it clang loads all windows of a tile first and multiplies last, which spills
// half of the accumulators (49 GFLOP/s instead of 66, V8 13.6, Zen 5).
template <typename T>
IM2WIN_INLINE void pin(T& value) {
  asm volatile("" : "+r"(value)::"memory");
}

// Turns four vectors of four around: lane i of v[j] becomes lane j of v[i].
IM2WIN_INLINE void transpose(f32x4* v) {
  const f32x4 ab0 = wasm_i32x4_shuffle(v[0], v[1], 0, 4, 1, 5);
  const f32x4 ab1 = wasm_i32x4_shuffle(v[0], v[1], 2, 6, 3, 7);
  const f32x4 cd0 = wasm_i32x4_shuffle(v[2], v[3], 0, 4, 1, 5);
  const f32x4 cd1 = wasm_i32x4_shuffle(v[2], v[3], 2, 6, 3, 7);
  v[0] = wasm_i32x4_shuffle(ab0, cd0, 0, 1, 4, 5);
  v[1] = wasm_i32x4_shuffle(ab0, cd0, 2, 3, 6, 7);
  v[2] = wasm_i32x4_shuffle(ab1, cd1, 0, 1, 4, 5);
  v[3] = wasm_i32x4_shuffle(ab1, cd1, 2, 3, 6, 7);
}

// Brings the cache line at p nearer: a load whose value nobody waits for.
IM2WIN_INLINE void touch(const float* p) {
  const f32x4 v = load(p);
  asm volatile("" ::"r"(v));
}

// What comes next, and is touched meanwhile: places from `at` on, `step` floats
// apart.
struct Ahead {
  const float* at;
  uint32_t step;
};

// Inline where there may be few lanes everywhere, as in images of three
// channels: a unit says so before it includes this. Elsewhere they are the ends
// of rows.
#ifndef IM2WIN_FEW
#define IM2WIN_FEW IM2WIN_SMALL
#endif

IM2WIN_FEW f32x4 loadFew(const float* p, uint32_t lanes) {
  f32x4 v = wasm_v128_load32_zero(p);
  if (lanes > 1) v = wasm_v128_load32_lane(p + 1, v, 1);
  if (lanes > 2) v = wasm_v128_load32_lane(p + 2, v, 2);
  return v;
}

// The first `lanes` (1 to 4) floats at p, zeros behind them; reads no further.
IM2WIN_INLINE f32x4 loadLanes(const float* p, uint32_t lanes) {
  return lanes >= 4 ? load(p) : loadFew(p, lanes);
}

IM2WIN_FEW void storeFew(float* p, f32x4 v, uint32_t lanes) {
  wasm_v128_store32_lane(p, v, 0);
  if (lanes > 1) wasm_v128_store32_lane(p + 1, v, 1);
  if (lanes > 2) wasm_v128_store32_lane(p + 2, v, 2);
}

// Writes the first `lanes` (1 to 4) floats of v to p, and nothing behind them.
IM2WIN_INLINE void storeLanes(float* p, f32x4 v, uint32_t lanes) {
  if (lanes >= 4) {
    store(p, v);
  } else {
    storeFew(p, v, lanes);
  }
}
