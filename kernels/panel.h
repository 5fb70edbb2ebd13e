// The filter panel: NR output channels, [filterWidth][filterHeight][inChannels]
// [NR], in the order in which a window of the strip lies in memory.
#pragma once

// A column of targets.def, by scripts/build-kernels.ts.
#include "target.h"

// Vectors of a panel's row.
constexpr uint32_t kNV = kNR / 4;

// Times eight channels that are multiplied by a single window, or transformed
// back, side by side.
constexpr uint32_t kMostTerms = kProductGroup * kNR / 8;

static_assert(kNR % 8 == 0 && kNV >= 2 && kNV <= 4,
              "tiles are made for panels of two or four vectors: walk.h");
static_assert(kTallMR <= 8 && kTallMR >= kMR && kNarrowMR <= 8,
              "and for up to eight windows");
