// Runs of bytes and rows of them, copied and filled.
#pragma once

#include "task.h"

// From so many bytes on a copy, or a fill with one byte, is one instruction: it
// leaves wasm for a function of the engine's, which takes longer than a loop.
constexpr uint32_t kLongRun = 512;

IM2WIN_INLINE v128_t load16(const char* from) { return wasm_v128_load(from); }

IM2WIN_INLINE void store16(char* to, v128_t v) { wasm_v128_store(to, v); }

template <typename T>
struct Unaligned {
  T value;
} __attribute__((packed));

template <typename T>
IM2WIN_INLINE void copyOne(char* to, const char* from) {
  ((Unaligned<T>*)to)->value = ((const Unaligned<T>*)from)->value;
}

// 16 bytes or more; the last vector may write some bytes once more.
IM2WIN_INLINE void copyVectors(char* to, const char* from, uint32_t bytes) {
  uint32_t at = 0;
  for (; at + 32 <= bytes; at += 32) {
    const v128_t a = load16(from + at);
    const v128_t b = load16(from + at + 16);
    store16(to + at, a);
    store16(to + at + 16, b);
  }
  if (at + 16 <= bytes) store16(to + at, load16(from + at));
  store16(to + bytes - 16, load16(from + bytes - 16));
}

// Less than 16 bytes.
IM2WIN_INLINE void copyFew(char* to, const char* from, uint32_t bytes) {
  if (bytes >= 8) {
    copyOne<uint64_t>(to, from);
    copyOne<uint64_t>(to + bytes - 8, from + bytes - 8);
  } else if (bytes >= 4) {
    copyOne<uint32_t>(to, from);
    copyOne<uint32_t>(to + bytes - 4, from + bytes - 4);
  } else {
    for (uint32_t i = 0; i < bytes; ++i) to[i] = from[i];
  }
}

IM2WIN_INLINE void copyRun(char* to, const char* from, uint32_t bytes) {
  if (bytes >= kLongRun) {
    __builtin_memcpy(to, from, bytes);
  } else if (bytes >= 16) {
    copyVectors(to, from, bytes);
  } else {
    copyFew(to, from, bytes);
  }
}

// Rows of so many bytes, `fromStep` apart where they are read, and `toStep`
// where they are written.
IM2WIN_NOINLINE void copyRows(char* to, const char* from, uint32_t rows,
                              uint32_t fromStep, uint32_t toStep,
                              uint32_t bytes) {
#define EACH_ROW \
  for (; rows > 0; --rows, from = moved(from, fromStep), to = moved(to, toStep))
  if (bytes >= kLongRun) {
    EACH_ROW __builtin_memcpy(to, from, bytes);
  } else if (bytes >= 16) {
    EACH_ROW copyVectors(to, from, bytes);
  } else if (bytes == 4) {
    EACH_ROW copyOne<uint32_t>(to, from);
  } else if (bytes == 1) {
    EACH_ROW* to = *from;
  } else {
    EACH_ROW copyFew(to, from, bytes);
  }
#undef EACH_ROW
}

IM2WIN_INLINE void fillVectors(char* to, uint32_t bytes, uint32_t value) {
  const v128_t v = wasm_u32x4_splat(value);
  uint32_t at = 0;
  for (; at + 16 <= bytes; at += 16) store16(to + at, v);
  store16(to + bytes - 16, v);
}

// What is copied from, again and again, where a long run is filled with four
// bytes that differ: it stays in the first-level cache.
constexpr uint32_t kLongFill = 4096;

IM2WIN_NOINLINE void fillLongRun(char* to, uint32_t bytes, uint32_t value) {
  if (value == (value & 0xff) * 0x01010101u) {
    __builtin_memset(to, value, bytes);
    return;
  }
  fillVectors(to, least(bytes, kLongFill), value);
  for (uint32_t at = kLongFill; at < bytes;) {
    const uint32_t next = least(bytes - at, kLongFill);
    __builtin_memcpy(to + at, to, next);
    at += next;
  }
}

// `value` over and over; unless its bytes are all the same, `bytes` is a
// multiple of 4.
IM2WIN_INLINE void fillRun(char* to, uint32_t bytes, uint32_t value) {
  if (bytes >= kLongRun) {
    fillLongRun(to, bytes, value);
  } else if (bytes >= 16) {
    fillVectors(to, bytes, value);
  } else {
    uint32_t at = 0;
    for (; at + 4 <= bytes; at += 4) {
      ((Unaligned<uint32_t>*)(to + at))->value = value;
    }
    for (; at < bytes; ++at) to[at] = value;
  }
}
