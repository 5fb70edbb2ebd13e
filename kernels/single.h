// One window times a filter, as in a dense layer: several panels at a time. A
// tile of one window has two sums, and costs more to begin and end than to sum.
#pragma once

#include "walk.h"

// PANELS whole panels, one behind the other, times the window at a.
template <int PANELS>
IM2WIN_NOINLINE void singleTile(const ConvCall* call, const float* panel,
                                const float* bias, const float* a, float* c,
                                Bounds bounds) {
  const uint32_t panelFloats = depthOf(call) * kNR;
  f32x4 sum[PANELS][kNV];
  IM2WIN_UNROLL for (int p = 0; p < PANELS; ++p) {
    IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
      sum[p][v] = bias ? load(bias + p * kNR + 4 * v) : splat(0.0f);
    }
  }
  const uint32_t gap = call->segmentStride - call->segmentLength;
  for (int32_t segment = call->segments; segment != 0; --segment) {
    for (int32_t k = call->segmentLength; k != 0; --k) {
      const f32x4 x = loadSplat(a++);
      const float* row = panel;
      IM2WIN_UNROLL for (int p = 0; p < PANELS; ++p) {
        IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
          sum[p][v] = mulAdd(x, load(row + 4 * v), sum[p][v]);
        }
        row += panelFloats;
        pin(row);
      }
      panel += kNR;
    }
    a += gap;
  }
  IM2WIN_UNROLL for (int p = 0; p < PANELS; ++p) {
    IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
      store(c + p * kNR + 4 * v, clamp(sum[p][v], bounds.low, bounds.high));
    }
  }
}

// As many panels as make eight sums, which do not wait for each other.
constexpr uint32_t kSinglePanels = 8 / kNV;

// All whole panels times a window. A larger filter than kSingleFilterBytes
// comes from memory, and the walk touches the next panel beside each. Returns
// the channels that are done: none where the filter is large, or the epilogue
// not a clamp.
IM2WIN_INLINE uint32_t singleWindow(const ConvCall* call, const float* a,
                                    float* c) {
  const Final final = finalOf(call);
  const uint32_t panelFloats = depthOf(call) * kNR;
  if (final == kSloped ||
      panelFloats * call->outChannels > kSingleFilterBytes / 4 * kNR) {
    return 0;
  }
  const float* panel = call->panels;
  const float* bias = firstBias(call, 0);
  const Bounds bounds = boundsOf(call, final);
  uint32_t panels = call->outChannels / kNR;
  const uint32_t done = panels * kNR;
  float* to = c;
  for (; panels >= kSinglePanels; panels -= kSinglePanels) {
    singleTile<kSinglePanels>(call, panel, bias, a, to, bounds);
    panel += kSinglePanels * panelFloats;
    bias = bias ? bias + kSinglePanels * kNR : nullptr;
    to += kSinglePanels * kNR;
  }
  for (; panels != 0; --panels) {
    singleTile<1>(call, panel, bias, a, to, bounds);
    panel += panelFloats;
    bias = bias ? bias + kNR : nullptr;
    to += kNR;
  }
  if (!finishesInRegisters(call))
    finishPixels(call, {c, 0, 0}, {0, int32_t(done)}, 1);
  return done;
}
