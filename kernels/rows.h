// One panel times all windows of a block, tile by tile.
#pragma once

#include "tile.h"

template <int NV>
IM2WIN_INLINE void tileOf(uint32_t rows, const ConvCall* call,
                          const float* panel, f32x4 first0, f32x4 first1,
                          const float* a, const float* const* windows,
                          float* to, int32_t pixelStride, Final final,
                          f32x4 low0, f32x4 low1, const float* ahead,
                          uint32_t aheadStep) {
#define IM2WIN_TILE(MR)                                              \
  case MR:                                                           \
    return tile<MR, NV>(call, panel, first0, first1, a, windows, to, \
                        pixelStride, final, low0, low1, ahead, aheadStep)
  switch (rows) {
    IM2WIN_TILE(1);
    IM2WIN_TILE(2);
    IM2WIN_TILE(3);
    IM2WIN_TILE(4);
    IM2WIN_TILE(5);
    IM2WIN_TILE(6);
  }
  if constexpr (NV == 1) {
    switch (rows) {
      IM2WIN_TILE(7);
      IM2WIN_TILE(8);
    }
  }
#undef IM2WIN_TILE
}

// Finishes the pixels of `rows` windows, whose sums are stored.
IM2WIN_NOINLINE void finishWindows(const ConvCall* call, const float* a,
                                   float* c, uint32_t r, uint32_t j, uint32_t n,
                                   uint32_t width, uint32_t rows) {
  Cursor at = {a, c, r, j};
  while (rows != 0) {
    const uint32_t left = call->rowLength - at.j;
    const uint32_t count = rows < left ? rows : left;
    finishPixels(call, at.c + n, at.r, at.j, n, width, count);
    at = advance(call, at, count);
    rows -= count;
  }
}

// A tile that is not whole, or goes on in the next output row: through the
// call's scratch.
template <int NV>
IM2WIN_NOINLINE void tileRest(uint32_t rows, const ConvCall* call,
                              const float* panel, f32x4 first0, f32x4 first1,
                              uint32_t n, uint32_t width, const float* a,
                              float* c, uint32_t r, uint32_t j, Final final,
                              f32x4 low0, f32x4 low1, const float* ahead,
                              uint32_t aheadStep) {
  const float** windows = const_cast<ConvCall*>(call)->scratchWindows;
  float* sums = const_cast<ConvCall*>(call)->scratchSums;
  Cursor at = {a, c, r, j};
  for (uint32_t i = 0; i < rows; ++i, at = next(call, at)) windows[i] = at.a;
  tileOf<NV>(rows, call, panel, first0, first1, a, windows, sums, 4 * NV, final,
             low0, low1, ahead, aheadStep);
  at = {a, c, r, j};
  for (uint32_t i = 0; i < rows; ++i, at = next(call, at)) {
    for (uint32_t v = 0; v < width; v += 4) {
      storeLanes(at.c + n + v, load(sums + v), width - v);
    }
    sums += 4 * NV;
  }
}

// How windows are shared out to tiles: evenly, so that no tile is left with
// one. Its divisions take as long as a few steps of a tile: once a block, not
// once a panel.
struct Shares {
  uint32_t tiles;
  uint32_t height;  // Of a tile; the first `taller` have one row more.
  uint32_t taller;
  // The tiles share out the following panel, too, so that it comes no faster
  // than it has to: four steps touch a line, `aheadStep` floats behind the one
  // before.
  uint32_t aheadStep;
};

IM2WIN_INLINE Shares sharesOf(uint32_t windows, uint32_t mr) {
  const uint32_t tiles = (windows + mr - 1) / mr;
  const uint32_t height = windows / tiles;
  return {tiles, height, windows - tiles * height,
          tiles == 1 ? 16 : (4 * kNR + tiles - 1) / tiles};
}

// One panel times all windows that are shared out, from `at` on.
template <int NV>
IM2WIN_NOINLINE void panelRows(const ConvCall* call, const float* panel,
                               uint32_t n, uint32_t width, const float* a,
                               float* c, uint32_t r, uint32_t j, uint32_t tiles,
                               uint32_t height, uint32_t taller,
                               uint32_t aheadStep, const float* following) {
  const uint32_t panelFloats = depthOf(call) * kNR;
  const uint32_t share = depthOf(call) / 4 * aheadStep;
  const bool inRegisters = finishesInRegisters(call);
  const Final final = finalOf(call);
  const f32x4 first0 = firstSum(call, n, width);
  const f32x4 first1 = NV == 1 ? first0 : firstSum(call, n + 4, width - 4);
  const f32x4 low0 = finalLow(call, final, n, width);
  const f32x4 low1 = NV == 1 ? low0 : finalLow(call, final, n + 4, width - 4);
  Cursor at = {a, c, r, j};
  for (uint32_t t = 0; t < tiles; ++t) {
    const uint32_t rows = height + (t < taller ? 1 : 0);
    const uint32_t from = t * share;
    const float* ahead = from + share <= panelFloats ? following + from : panel;
    // Most tiles lie within one output row.
    if (width == 4 * NV && at.j + rows <= uint32_t(call->rowLength)) {
      tileOf<NV>(rows, call, panel, first0, first1, at.a, nullptr, at.c + n,
                 call->outPixelStride, final, low0, low1, ahead, aheadStep);
    } else {
      tileRest<NV>(rows, call, panel, first0, first1, n, width, at.a, at.c,
                   at.r, at.j, final, low0, low1, ahead, aheadStep);
    }
    if (!inRegisters) {
      finishWindows(call, at.a, at.c, at.r, at.j, n, width, rows);
    }
    at = advance(call, at, rows);
  }
}

// The same, by the shares for a panel of more than four channels or of fewer.
IM2WIN_INLINE void panelRowsOf(const ConvCall* call, const float* panel,
                               uint32_t n, uint32_t width, Cursor at,
                               const Shares& wide, const Shares& narrow,
                               const float* following) {
  if (width > 4) {
    panelRows<2>(call, panel, n, width, at.a, at.c, at.r, at.j, wide.tiles,
                 wide.height, wide.taller, wide.aheadStep, following);
  } else {
    panelRows<1>(call, panel, n, width, at.a, at.c, at.r, at.j, narrow.tiles,
                 narrow.height, narrow.taller, narrow.aheadStep, following);
  }
}
