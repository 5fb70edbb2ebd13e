// One block of output rows: every panel times every window of the block.
#pragma once

#include "single.h"

// A filter of at most kNearFilterBytes stays in the first-level cache as a
// whole. It is multiplied by a few windows at a time, all panels each time, so
// that their output pixels are written in full before the next. A larger filter
// is treated the same way where an output pixel is larger than its window: a
// pass over many windows would write a pixel's lines for one panel, and find
// them gone from the cache when the next panel comes to them.
IM2WIN_INLINE bool takesFewWindows(uint32_t depth, uint32_t outChannels) {
  const uint32_t filterBytes = depth * outChannels * 4;
  return filterBytes <= kNearFilterBytes ||
         (filterBytes <= kWideFilterBytes && outChannels >= depth);
}

// Multiplies all whole panels of such a filter by a few windows, then by the
// next few. Returns false, and has done nothing, where windows do not go on
// evenly for long enough.
IM2WIN_NOINLINE bool fewWindows(const ConvCall* call, const float* a, float* c,
                                uint32_t rows) {
  const uint32_t rowLength = call->rowLength;
  const bool together = goesOnEvenly(call, 0, rows * rowLength);
  const uint32_t length = together ? rows * rowLength : rowLength;
  const uint32_t mr = tileRows(call, length);
  const uint32_t tiles = (length + mr - 1) / mr;
  const uint32_t panels = call->outChannels / kNR;
  const Final final = finalOf(call);
  if (panels == 0 || final == kSloped || length < kLeastEven * tiles) {
    return false;
  }
  const uint32_t depth = depthOf(call);
  const uint32_t height = length / tiles;
  const uint32_t taller = length - tiles * height;
  // Tiles at a time. With fewer of them a pixel's lines are written sooner one
  // after the other. Panels that come from the second-level cache should serve
  // more of them.
  const bool near = depth * call->outChannels * 4 <= kNearFilterBytes;
  const uint32_t group =
      (near ? kNearTiles : kWideTiles) + kPanelTiles / panels;
  // What comes next is touched: windows if they lie side by side. Others
  // overlap those before, and output pixels are touched, whose lines stores
  // would wait for.
  const bool dense = call->windowStride == int32_t(depth);
  const uint32_t touched = dense ? depth : call->outPixelStride;
  const bool inRegisters = finishesInRegisters(call);
  const Panels all = {call->panels, panels, firstBias(call, 0)};
  const Bounds bounds = boundsOf(call, final);
  for (uint32_t r = 0; r < (together ? 1 : rows); ++r) {
    const float* from = a + r * call->windowRowStride;
    float* to = c + r * call->outRowStride;
    uint32_t done = 0;
    for (uint32_t tile = 0; tile < tiles;) {
      const uint32_t own = height + (tile < taller);
      const uint32_t same = (tile < taller ? taller : tiles) - tile;
      const uint32_t some = same < group ? same : group;
      const uint32_t count = some * own;
      const float* next = (dense ? from : to) + count * touched;
      const uint32_t left = length - done - count;
      const uint32_t coming = (left < count ? left : count) * touched;
      evenTilesOf(own, call, all, {next, coming / panels, 0, kLine},
                  {from, to, some}, bounds);
      if (!inRegisters) {
        const Pixel pixel = {to, r + done / rowLength, done % rowLength};
        finishWindows(call, {from, pixel}, {0, int32_t(panels * kNR)}, count);
      }
      from += count * call->windowStride;
      to += count * call->outPixelStride;
      done += count;
      tile += some;
    }
  }
  return true;
}

// Multiplies the windows of a block, at a, by all panels. Writes `rows` output
// rows to c: [rows, rowLength, outChannels], spaced as the call says. Operand
// rows count from the block's first.
//
// Panels are the outer loop and tiles the inner one, except for filters that
// take few windows. A panel then stays in the first-level cache, while the
// block's windows, of which the caller takes few enough, come from the second.
// A panel of at most four channels needs one vector of sums for each window.
// Its tiles have eight windows, since fewer than eight sums would wait for each
// other.
IM2WIN_NOINLINE void gemm(const ConvCall* call, const float* a, float* c,
                          uint32_t rows) {
  uint32_t windows = rows * call->rowLength;
  if (windows == 0) return;
  const uint32_t outChannels = call->outChannels;
  const uint32_t depth = depthOf(call);
  const uint32_t panelFloats = depth * kNR;
  const bool few = takesFewWindows(depth, outChannels);
  const uint32_t first = windows == 1 ? singleWindow(call, a, c)
                         : few && fewWindows(call, a, c, rows)
                             ? outChannels / kNR * kNR
                             : 0;
  const float* panels = call->panels + first * depth;
  Cursor at = {a, {c, 0, 0}};
  constexpr uint32_t kFew = kWideTiles * kMR;
  uint32_t count = few && windows > kFew ? kFew : windows;
  Shares wide = sharesOf(count, kMR, depth);
  Shares narrow = sharesOf(count, kNarrowMR, depth);
  while (windows != 0 && first != outChannels) {
    if (windows < count) {
      count = windows;
      wide = sharesOf(count, kMR, depth);
      narrow = sharesOf(count, kNarrowMR, depth);
    }
    const float* panel = panels;
    for (uint32_t n = first; n < outChannels; n += kNR) {
      const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
      const Channels channels = {int32_t(n), int32_t(width)};
      const float* following =
          n + kNR < outChannels ? panel + panelFloats : panels;
      walkPanel(call, {panel, channels}, at, wide, narrow, following);
      panel += panelFloats;
    }
    at = advance(call, at, count);
    windows -= count;
  }
}
