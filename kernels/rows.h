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

// What a panel's tiles bring nearer beside their work: `floats` floats, of the
// following panel or of the following windows.
struct Ahead {
  const float* from;
  uint32_t floats;
};

// How windows are shared out to tiles: evenly, so that no tile is left with
// one. Its divisions take as long as a few steps of a tile: once a block, not
// once a panel.
struct Shares {
  uint32_t tiles;
  uint32_t height;  // Of a tile; the first `taller` have one row more.
  uint32_t taller;
  // The tiles share out what they touch, too, so that it comes no faster than
  // it has to: four steps touch a line, `aheadStep` floats behind the one
  // before.
  uint32_t aheadStep;
};

// Beside windows that stay in the first-level cache touches must not come too
// slowly: 160 to 960 channels of 7x7 pixels ran at 0.78 of the peak, and at
// 0.86 with this. Beside such that do not, slower is better; found by trial.
constexpr uint32_t kNearWindowBytes = 36 * 1024;
constexpr uint32_t kNearAheadStep = 8;
constexpr uint32_t kLine = 16;

IM2WIN_INLINE Shares sharesOf(uint32_t windows, uint32_t mr, uint32_t depth,
                              uint32_t aheadFloats) {
  const uint32_t tiles = (windows + mr - 1) / mr;
  const uint32_t height = windows / tiles;
  const uint32_t least =
      windows * depth * 4 <= kNearWindowBytes ? kNearAheadStep : 1;
  const uint32_t steps = tiles * depth;
  const uint32_t evenly = steps ? (4 * aheadFloats + steps - 1) / steps : 0;
  const uint32_t step = evenly < least ? least : evenly;
  return {tiles, height, windows - tiles * height, step < kLine ? step : kLine};
}

// The floats up to the last that a tile's touches read.
IM2WIN_INLINE uint32_t reachOf(uint32_t share, uint32_t aheadStep) {
  return share + (aheadStep < 4 ? 4 - aheadStep : 0);
}

// `tiles` tiles of MR windows, one after the other, where windows and output
// pixels go on evenly, of one segment of whole eights: a tile's sums as in
// tile(), without a call for each, and without what other windows need. Where
// they are 16 values deep that takes a fifth off. `from` is the place in what
// comes that is touched next.
template <int MR>
IM2WIN_NOINLINE void evenTiles(const ConvCall* call, const float* panel,
                               const float* coming, uint32_t comingFloats,
                               uint32_t from, uint32_t aheadStep, f32x4 first0,
                               f32x4 first1, const float* a, float* c,
                               uint32_t tiles, f32x4 low, f32x4 high) {
  const uint32_t length = call->segmentLength;
  const uint32_t segments = call->segments;
  const uint32_t gap = call->segmentStride - length;
  const uint32_t depth = depthOf(call);
  const uint32_t share = depth / 4 * aheadStep;
  const uint32_t reach = reachOf(share, aheadStep);
  const uint32_t windowStride = call->windowStride;
  const uint32_t pixelStride = call->outPixelStride;
  for (; tiles != 0; --tiles) {
    const float* ahead = from + reach <= comingFloats ? coming + from : panel;
    from += share;
    const float* window[MR];
    f32x4 sum[MR][2];
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      window[i] = a + i * windowStride;
      sum[i][0] = first0;
      sum[i][1] = first1;
    }
    const float* row = panel;
    const auto step = [&](int s) __attribute__((always_inline)) {
      const f32x4 b0 = load(row + s * kNR);
      const f32x4 b1 = load(row + s * kNR + 4);
      IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
        const f32x4 x = loadSplat(window[i] + s);
        sum[i][0] = mulAdd(x, b0, sum[i][0]);
        sum[i][1] = mulAdd(x, b1, sum[i][1]);
        pin(sum[i][0]);
        pin(sum[i][1]);
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
      for (; k >= 8; k -= 8) {
        IM2WIN_UNROLL for (int s = 0; s < 8; ++s) {
          step(s);
          if (s % 4 == 3) {
            touch(ahead);
            ahead += aheadStep;
            pin(ahead);
          }
        }
        forward(8, 8);
      }
      for (; k != 0; --k) {
        step(0);
        forward(1, 1);
      }
      forward(0, gap);
    }
    float* to = c;
    IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
      store(to, clamp(sum[i][0], low, high));
      store(to + 4, clamp(sum[i][1], low, high));
      to += pixelStride;
    }
    a += MR * windowStride;
    c += MR * pixelStride;
  }
}

// Whether windows, and output pixels, are as far apart from one output row to
// the next as within one; or all `windows` from pixel j on lie in one.
IM2WIN_INLINE bool goesOnEvenly(const ConvCall* call, uint32_t j,
                                uint32_t windows) {
  const int32_t length = call->rowLength;
  return j + windows <= uint32_t(length) ||
         (call->windowRowStride == length * call->windowStride &&
          call->outRowStride == length * call->outPixelStride);
}

// One panel times all windows that are shared out, from `at` on.
template <int NV>
IM2WIN_NOINLINE void panelRows(const ConvCall* call, const float* panel,
                               uint32_t n, uint32_t width, const float* a,
                               float* c, uint32_t r, uint32_t j, uint32_t tiles,
                               uint32_t height, uint32_t taller,
                               uint32_t aheadStep, const float* coming,
                               uint32_t comingFloats) {
  const uint32_t share = depthOf(call) / 4 * aheadStep;
  const uint32_t reach = reachOf(share, aheadStep);
  const bool inRegisters = finishesInRegisters(call);
  const Final final = finalOf(call);
  const f32x4 first0 = firstSum(call, n, width);
  const f32x4 first1 = NV == 1 ? first0 : firstSum(call, n + 4, width - 4);
  const f32x4 low0 = finalLow(call, final, n, width);
  const f32x4 low1 = NV == 1 ? low0 : finalLow(call, final, n + 4, width - 4);
  const uint32_t windows = tiles * height + taller;
  if (NV == 2 && width == kNR && final != kSloped &&
      goesOnEvenly(call, j, windows)) {
    const float infinity = __builtin_inff();
    const f32x4 low = final == kClamped ? low0 : splat(-infinity);
    const f32x4 high = final == kClamped ? finalHigh(call) : splat(infinity);
    const uint32_t higher = (height + 1) * taller;
    const float* rest = a + higher * call->windowStride;
    float* restTo = c + higher * call->outPixelStride;
#define IM2WIN_EVEN(MR)                                                        \
  if (height + 1 == MR && taller != 0) {                                       \
    evenTiles<MR>(call, panel, coming, comingFloats, 0, aheadStep, first0,     \
                  first1, a, c + n, taller, low, high);                        \
  }                                                                            \
  if (height == MR && tiles != taller) {                                       \
    evenTiles<MR>(call, panel, coming, comingFloats, taller * share,           \
                  aheadStep, first0, first1, rest, restTo + n, tiles - taller, \
                  low, high);                                                  \
  }
    if (height >= 4) {
      IM2WIN_EVEN(4)
      IM2WIN_EVEN(5)
      IM2WIN_EVEN(6)
#undef IM2WIN_EVEN
      if (!inRegisters) finishWindows(call, a, c, r, j, n, width, windows);
      return;
    }
  }
  Cursor at = {a, c, r, j};
  for (uint32_t t = 0; t < tiles; ++t) {
    const uint32_t rows = height + (t < taller ? 1 : 0);
    const uint32_t from = t * share;
    const float* ahead = from + reach <= comingFloats ? coming + from : panel;
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
                               Ahead coming) {
  if (width > 4) {
    panelRows<2>(call, panel, n, width, at.a, at.c, at.r, at.j, wide.tiles,
                 wide.height, wide.taller, wide.aheadStep, coming.from,
                 coming.floats);
  } else {
    panelRows<1>(call, panel, n, width, at.a, at.c, at.r, at.j, narrow.tiles,
                 narrow.height, narrow.taller, narrow.aheadStep, coming.from,
                 coming.floats);
  }
}
