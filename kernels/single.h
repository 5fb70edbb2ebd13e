// One window times a filter, as in a dense layer: several panels at a time. A
// tile of one window has two sums, and costs more to begin and end than to sum.
#pragma once

#include "walk.h"

// As many panels as make eight sums, which do not wait for each other.
constexpr uint32_t kSinglePanels = 8 / kNV;

// PANELS panels times the window at a, from channels.first on. Of the last
// panel, channels.count says how many channels there are.
template <int PANELS>
IM2WIN_NOINLINE void singleTile(const ConvCall* call, Channels channels,
                                const float* a, float* c, Bounds bounds) {
  const uint32_t depth = depthOf(call);
  const uint32_t first = channels.first;
  const uint32_t count = channels.count;
  const float* row[PANELS];
  f32x4 sum[PANELS][kNV];
  IM2WIN_UNROLL for (uint32_t p = 0; p < PANELS; ++p) {
    row[p] = call->panels + (first + p * kNR) * depth;
    IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
      const uint32_t n = p * kNR + 4 * v;
      sum[p][v] =
          n < count ? firstSum(call, first + n, count - n) : splat(0.0f);
    }
  }
  const auto step = [&](uint32_t k) __attribute__((always_inline)) {
    const f32x4 x = loadSplat(a + k);
    IM2WIN_UNROLL for (uint32_t p = 0; p < PANELS; ++p) {
      IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
        sum[p][v] = mulAdd(x, load(row[p] + k * kNR + 4 * v), sum[p][v]);
      }
      IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) pin(sum[p][v]);
    }
  };
  const auto forward = [&](uint32_t steps) __attribute__((always_inline)) {
    a += steps;
    pin(a);
    IM2WIN_UNROLL for (uint32_t p = 0; p < PANELS; ++p) {
      row[p] += steps * kNR;
      pin(row[p]);
    }
  };
  const uint32_t gap = call->segmentStride - call->segmentLength;
  for (int32_t segment = call->segments; segment != 0; --segment) {
    uint32_t length = call->segmentLength;
    for (; length >= 4; length -= 4) {
      IM2WIN_UNROLL for (uint32_t k = 0; k < 4; ++k) step(k);
      forward(4);
    }
    for (; length != 0; --length) {
      step(0);
      forward(1);
    }
    a += gap;
  }
  const f32x4 low = splat(bounds.low);
  const f32x4 high = splat(bounds.high);
  IM2WIN_UNROLL for (uint32_t p = 0; p < PANELS; ++p) {
    IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
      const uint32_t n = p * kNR + 4 * v;
      if (n >= count) return;
      storeLanes(c + first + n, clamp(sum[p][v], low, high), count - n);
    }
  }
}

IM2WIN_INLINE void singleTileOf(uint32_t panels, const ConvCall* call,
                                Channels channels, const float* a, float* c,
                                Bounds bounds) {
#define IM2WIN_SINGLE(PANELS)                                  \
  if constexpr (PANELS <= kSinglePanels) {                     \
    if (panels == PANELS) {                                    \
      return singleTile<PANELS>(call, channels, a, c, bounds); \
    }                                                          \
  }
  IM2WIN_SINGLE(1)
  IM2WIN_SINGLE(2)
  IM2WIN_SINGLE(3)
  IM2WIN_SINGLE(4)
#undef IM2WIN_SINGLE
}

// All panels times the window at a. Returns the channels that are done: none
// where there is a single panel, whose tile keeps several sums of each output.
IM2WIN_INLINE uint32_t singleWindow(const ConvCall* call, const float* a,
                                    float* c) {
  const uint32_t outChannels = call->outChannels;
  if (outChannels <= kNR) return 0;
  const Final final = finalOf(call);
  const Bounds bounds = boundsOf(call, final);
  uint32_t panels = (outChannels + kNR - 1) / kNR;
  uint32_t groups = (panels + kSinglePanels - 1) / kSinglePanels;
  for (uint32_t n = 0; groups != 0; --groups) {
    // Shared out evenly: a panel alone would wait for its sums.
    const uint32_t some = (panels + groups - 1) / groups;
    const uint32_t left = outChannels - n;
    const uint32_t count = left < some * kNR ? left : some * kNR;
    singleTileOf(some, call, {int32_t(n), int32_t(count)}, a, c, bounds);
    n += count;
    panels -= some;
  }
  if (final == kSloped || !finishesInRegisters(call)) {
    finishPixels(call, {c, 0, 0}, {0, int32_t(outChannels)}, 1);
  }
  return outChannels;
}
