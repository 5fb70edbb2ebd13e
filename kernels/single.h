// One window times a filter, as in a dense layer: several panels at a time. A
// tile of one window has two sums, and costs more to begin and end than to sum.
#pragma once

#include "rows.h"

// PANELS whole panels, one behind the other, times the window at a.
template <int PANELS>
IM2WIN_NOINLINE void singleTile(const ConvCall* call, const float* panel,
                                const float* bias, const float* a, float* c,
                                f32x4 low, f32x4 high) {
  const uint32_t panelFloats = depthOf(call) * kNR;
  f32x4 sum[PANELS][2];
  IM2WIN_UNROLL for (int p = 0; p < PANELS; ++p) {
    sum[p][0] = bias ? load(bias + p * kNR) : splat(0.0f);
    sum[p][1] = bias ? load(bias + p * kNR + 4) : splat(0.0f);
  }
  const uint32_t gap = call->segmentStride - call->segmentLength;
  for (int32_t segment = call->segments; segment != 0; --segment) {
    for (int32_t k = call->segmentLength; k != 0; --k) {
      const f32x4 x = loadSplat(a++);
      const float* row = panel;
      IM2WIN_UNROLL for (int p = 0; p < PANELS; ++p) {
        sum[p][0] = mulAdd(x, load(row), sum[p][0]);
        sum[p][1] = mulAdd(x, load(row + 4), sum[p][1]);
        row += panelFloats;
        pin(row);
      }
      panel += kNR;
    }
    a += gap;
  }
  IM2WIN_UNROLL for (int p = 0; p < PANELS; ++p) {
    store(c + p * kNR, clamp(sum[p][0], low, high));
    store(c + p * kNR + 4, clamp(sum[p][1], low, high));
  }
}

// A larger filter comes from memory, panel by panel, each touched while the one
// before is multiplied: see panelRows.
constexpr uint32_t kMostSingleFilterBytes = 512 * 1024;

// All whole panels times a window. Returns the channels that are done: none
// where the filter is large, or the epilogue not a clamp.
IM2WIN_INLINE uint32_t singleWindow(const ConvCall* call, const float* a,
                                    float* c) {
  const Final final = finalOf(call);
  const uint32_t panelFloats = depthOf(call) * kNR;
  if (final == kSloped ||
      panelFloats * call->outChannels > kMostSingleFilterBytes / 4 * kNR) {
    return 0;
  }
  const float* panel = call->panels;
  const float* bias = firstBias(call, 0);
  const f32x4 low = lowOf(call, final);
  const f32x4 high = highOf(call, final);
  uint32_t panels = call->outChannels / kNR;
  const uint32_t done = panels * kNR;
  float* to = c;
  for (; panels >= 4; panels -= 4) {
    singleTile<4>(call, panel, bias, a, to, low, high);
    panel += 4 * panelFloats;
    bias = bias ? bias + 4 * kNR : nullptr;
    to += 4 * kNR;
  }
  for (; panels != 0; --panels) {
    singleTile<1>(call, panel, bias, a, to, low, high);
    panel += panelFloats;
    bias = bias ? bias + kNR : nullptr;
    to += kNR;
  }
  if (!finishesInRegisters(call)) finishPixels(call, c, 0, 0, 0, done, 1);
  return done;
}
