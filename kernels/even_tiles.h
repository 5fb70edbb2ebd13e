// Even tiles: whole panels times windows that go on evenly, without a call for
// each tile. That takes a fifth off where windows are 16 values deep.
#pragma once

#include "epilogue.h"

// Whether `windows` windows from pixel j on go on evenly: they lie in one
// output row, or windows and output pixels are as far apart from one row to the
// next as within a row.
IM2WIN_INLINE bool goesOnEvenly(const ConvCall* call, uint32_t j,
                                uint32_t windows) {
  const int32_t length = call->rowLength;
  return j + windows <= uint32_t(length) ||
         (call->windowRowStride == length * call->windowStride &&
          call->outRowStride == length * call->outPixelStride);
}

// How far a tile's touches read, in floats from its first one on.
IM2WIN_INLINE uint32_t reachOf(uint32_t share, uint32_t aheadStep) {
  return share + (aheadStep < 4 ? 4 - aheadStep : 0);
}

// Whole panels, one behind the other. The bias is the first one's, or null.
struct Panels {
  const float* values;
  uint32_t count;
  const float* bias;
};

// What is touched beside a panel: its share of what comes next, of `floats`
// floats at `at`. The first tile begins at `from`, and places are `step` floats
// apart.
struct Coming {
  const float* at;
  uint32_t floats;
  uint32_t from;
  uint32_t step;
};

// Tiles whose windows, from `a` on, and pixels, from c on, go on evenly.
struct Stretch {
  const float* a;
  float* c;
  uint32_t tiles;
};

// Multiplies panel after panel by a stretch of tiles of MR windows. Sums are
// made as in tile().
template <int MR>
IM2WIN_NOINLINE void evenTiles(const ConvCall* call, Panels panels,
                               Coming coming, Stretch stretch, Bounds bounds) {
  // Steps that are written out.
  constexpr uint32_t kSteps = MR > kMR ? 4 : 8;
  const uint32_t length = call->segmentLength;
  const uint32_t segments = call->segments;
  const uint32_t gap = call->segmentStride - length;
  const uint32_t share = depthOf(call) / 4 * coming.step;
  const uint32_t reach = reachOf(share, coming.step);
  const uint32_t windowStride = call->windowStride;
  const uint32_t pixelStride = call->outPixelStride;
  const f32x4 low = splat(bounds.low);
  const f32x4 high = splat(bounds.high);
  for (; panels.count != 0; --panels.count) {
    const auto firstOf = [&](int v) __attribute__((always_inline)) {
      return panels.bias ? load(panels.bias + 4 * v) : splat(0.0f);
    };
    // What a panel of fewer vectors does not use is not loaded.
    const f32x4 first[] = {firstOf(0), firstOf(1), firstOf(2), firstOf(3)};
    const float* row = panels.values;
    const float* a = stretch.a;
    float* c = stretch.c;
    uint32_t place = coming.from;
    for (uint32_t left = stretch.tiles; left != 0; --left) {
      const float* ahead =
          place + reach <= coming.floats ? coming.at + place : panels.values;
      place += share;
      const float* window[MR];
      f32x4 sum[MR][kNV];
      IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
        window[i] = a + i * windowStride;
        IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) sum[i][v] = first[v];
      }
      row = panels.values;
      const auto step = [&](int s) __attribute__((always_inline)) {
        f32x4 b[kNV];
        IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
          b[v] = load(row + s * kNR + 4 * v);
        }
        IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
          const f32x4 x = loadSplat(window[i] + s);
          IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
            sum[i][v] = mulAdd(x, b[v], sum[i][v]);
          }
          IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) pin(sum[i][v]);
        }
      };
      const auto forward = [&](uint32_t rows, uint32_t floats)
                               __attribute__((always_inline)) {
                                 row += rows * kNR;
                                 pin(row);
                                 IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
                                   window[i] += floats;
                                   pin(window[i]);
                                 }
                               };
      for (uint32_t segment = segments; segment != 0; --segment) {
        uint32_t k = length;
        for (; k >= kSteps; k -= kSteps) {
          IM2WIN_UNROLL for (int s = 0; s < int(kSteps); ++s) {
            step(s);
            if (s % 4 == 3) {
              touch(ahead);
              ahead += coming.step;
              pin(ahead);
            }
          }
          forward(kSteps, kSteps);
        }
        for (; k != 0; --k) {
          step(0);
          forward(1, 1);
        }
        forward(0, gap);
      }
      float* to = c;
      IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
        IM2WIN_UNROLL for (int v = kNV - 1; v >= 0; --v) {
          store(to + 4 * v, clamp(sum[i][v], low, high));
        }
        to += pixelStride;
      }
      a += MR * windowStride;
      c += MR * pixelStride;
    }
    if (panels.bias) panels.bias += kNR;
    panels.values = row;
    coming.at += coming.floats;
    stretch.c += kNR;
  }
}

IM2WIN_INLINE void evenTilesOf(uint32_t height, const ConvCall* call,
                               Panels panels, Coming coming, Stretch stretch,
                               Bounds bounds) {
#define IM2WIN_EVEN(MR)                                            \
  if constexpr (MR >= kLeastEven && MR <= kTallMR) {               \
    if (height == MR) {                                            \
      return evenTiles<MR>(call, panels, coming, stretch, bounds); \
    }                                                              \
  }
  IM2WIN_EVEN(1)
  IM2WIN_EVEN(2)
  IM2WIN_EVEN(3)
  IM2WIN_EVEN(4)
  IM2WIN_EVEN(5)
  IM2WIN_EVEN(6)
  IM2WIN_EVEN(7)
  IM2WIN_EVEN(8)
#undef IM2WIN_EVEN
}
