// The filter panel: NR output channels, [filterWidth][filterHeight][inChannels]
// [NR], in the order in which a window of the strip lies in memory.
#pragma once

#include "simd.h"

constexpr uint32_t kNR = 8;
