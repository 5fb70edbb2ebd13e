// The filter panel: NR output channels, [filterWidth][filterHeight][inChannels]
// [NR], in the order in which a window of the strip lies in memory.
#pragma once

#include "simd.h"

constexpr uint32_t kNR = 8;

// The windows of a whole tile. The strict tile is one lower, because a product
// that is not fused needs a register of its own.
#ifdef IM2WIN_RELAXED
constexpr uint32_t kMR = 6;
#else
constexpr uint32_t kMR = 5;
#endif
