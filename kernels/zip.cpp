// Several tensors of one shape, value by value. A job is a record (zip.def).
#include "task.h"

// The numbers are shared with src/wasm/zipJob.ts.
enum Op : int32_t {
  kSum = 0,
  // The first tensor, of bytes, says which of two others' values are taken: of
  // four bytes, or of one.
  kSelect = 1,
  kSelectBytes = 2,
};

struct ZipJob {
#define FIELD(type, name) type name;
#include "zip.def"
#undef FIELD
};

// As tfjs adds them up: one after the other, from 0 on.
IM2WIN_NOINLINE void sum(const ZipJob* job, uint32_t i, uint32_t last) {
  const float* const* sources = (const float* const*)(job + 1);
  const float* const* end = sources + job->sources;
  float* to = (float*)job->output;
  for (; i + 16 <= last; i += 16) {
    f32x4 v[4] = {splat(0), splat(0), splat(0), splat(0)};
    for (const float* const* from = sources; from < end; ++from) {
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < 4; ++n) {
        v[n] = wasm_f32x4_add(v[n], load(*from + i + 4 * n));
      }
    }
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < 4; ++n) store(to + i + 4 * n, v[n]);
  }
  for (; i < last; ++i) {
    float v = 0;
    for (const float* const* from = sources; from < end; ++from)
      v += (*from)[i];
    to[i] = v;
  }
}

template <typename T>
IM2WIN_NOINLINE void select(const ZipJob* job, uint32_t i, uint32_t last) {
  const void* const* sources = (const void* const*)(job + 1);
  const uint8_t* condition = (const uint8_t*)sources[0];
  const T* a = (const T*)sources[1];
  const T* b = (const T*)sources[2];
  T* to = (T*)job->output;
  for (; i + 16 <= last; i += 16) {
    const v128_t own =
        wasm_i8x16_eq(wasm_v128_load(condition + i), wasm_i8x16_splat(1));
    const v128_t low = wasm_i16x8_extend_low_i8x16(own);
    const v128_t high = wasm_i16x8_extend_high_i8x16(own);
    const v128_t mask[4] = {
        wasm_i32x4_extend_low_i16x8(low), wasm_i32x4_extend_high_i16x8(low),
        wasm_i32x4_extend_low_i16x8(high), wasm_i32x4_extend_high_i16x8(high)};
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < sizeof(T); ++n) {
      const uint32_t at = i + n * (16 / sizeof(T));
      wasm_v128_store(
          to + at,
          wasm_v128_bitselect(wasm_v128_load(a + at), wasm_v128_load(b + at),
                              sizeof(T) == 1 ? own : mask[n]));
    }
  }
  for (; i < last; ++i) to[i] = condition[i] == 1 ? a[i] : b[i];
}

// Computes tasks `first` to `last` (less one), each a share of the values.
IM2WIN_EXPORT(im2win_zip)
void im2win_zip(const ZipJob* job, uint32_t first, uint32_t last) {
  for (uint32_t task = first; task < last; ++task) {
    const Share share = shareOf(job->count, 64, task, job->tasks);
    if (job->op == kSum) {
      sum(job, share.first, share.last);
    } else if (job->op == kSelect) {
      select<uint32_t>(job, share.first, share.last);
    } else {
      select<uint8_t>(job, share.first, share.last);
    }
  }
}
