// What the tasks of any job need: their shares, places, and the lesser of two
// numbers.
#pragma once

#include "simd.h"

IM2WIN_INLINE int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

IM2WIN_INLINE uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

IM2WIN_INLINE int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

// Offsets wrap: a heap has up to 4 GiB, and a stride may be negative.
template <typename T>
IM2WIN_INLINE T* moved(T* at, uint32_t bytes) {
  return (T*)(uintptr_t(at) + bytes);
}

// What a task computes of something: [first, last).
struct Share {
  uint32_t first;
  uint32_t last;
};

// One task's share of `count` values, in multiples of `step`. The last multiple
// may be cut off, and a share may be empty.
IM2WIN_INLINE Share shareOf(uint32_t count, uint32_t step, uint32_t task,
                            uint32_t tasks) {
  const uint64_t steps = (uint64_t(count) + step - 1) / step;
  const uint64_t first = steps * task / tasks * step;
  const uint64_t last = steps * (task + 1) / tasks * step;
  return {first < count ? uint32_t(first) : count,
          last < count ? uint32_t(last) : count};
}
