// The filter panel: NR output channels, [filterWidth][filterHeight][inChannels]
// [NR], in the order in which a window of the strip lies in memory.
#pragma once

// A column of targets.def, by scripts/build-kernels.ts.
#include "target.h"

// Vectors of a panel's row.
constexpr uint32_t kNV = kNR / 4;

static_assert(kNR % 4 == 0 && kNV >= 2 && kNV <= 4,
              "tiles are made for panels of two to four vectors: walk.h");
static_assert(kMR <= 8 && kNarrowMR <= 8, "and for up to eight windows");
