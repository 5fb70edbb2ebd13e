// Values that are laid out in a scratch, once or again and again.
#pragma once

#include "task.h"

// Writes `count` values, or one value so often. Reads no further, but may write
// up to three values more.
IM2WIN_INLINE void layOut(float* to, const float* from, uint32_t count,
                          bool scalar) {
  for (uint32_t i = 0; i < count; i += 4) {
    store(to + i, scalar ? loadSplat(from) : loadLanes(from + i, count - i));
  }
}

// `count` values, which are the first `run` ones again and again.
IM2WIN_NOINLINE void repeatRow(float* to, const float* from, uint32_t run,
                               uint32_t count) {
  layOut(to, from, run, false);
  // Twice as many each time. What is read behind them is written over.
  for (uint32_t there = run; there < count; there *= 2) {
    const uint32_t next = least(there, count - there);
    for (uint32_t i = 0; i < next; i += 4) store(to + there + i, load(to + i));
  }
}
