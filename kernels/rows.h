// One panel times all windows of a block, tile by tile.
#pragma once

#include "tile.h"

template <int... V>
IM2WIN_INLINE void tileOf(uint32_t rows, const ConvCall* call,
                          const float* panel, Each<V>... first, const float* a,
                          const float* const* windows, float* to,
                          int32_t pixelStride, Final final, Each<V>... low,
                          const float* ahead, uint32_t aheadStep) {
#define IM2WIN_TILE(MR)                                                    \
  if constexpr (MR <= (sizeof...(V) == 1 ? kNarrowMR : kMR)) {             \
    if (rows == MR) {                                                      \
      return tile<MR, V...>(call, panel, first..., a, windows, to,         \
                            pixelStride, final, low..., ahead, aheadStep); \
    }                                                                      \
  }
  IM2WIN_TILE(1)
  IM2WIN_TILE(2)
  IM2WIN_TILE(3)
  IM2WIN_TILE(4)
  IM2WIN_TILE(5)
  IM2WIN_TILE(6)
  IM2WIN_TILE(7)
  IM2WIN_TILE(8)
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

// Multiplies a tile that is not whole, or that goes on in the next output row.
// Its windows are listed, and its sums stored, behind the call descriptor; the
// sums that count are copied to the output from there.
template <int... V>
IM2WIN_NOINLINE void tileRest(uint32_t rows, const ConvCall* call,
                              const float* panel, Each<V>... first, uint32_t n,
                              uint32_t width, const float* a, float* c,
                              uint32_t r, uint32_t j, Final final,
                              Each<V>... low, const float* ahead,
                              uint32_t aheadStep) {
  constexpr int NV = sizeof...(V);
  const float** windows = const_cast<ConvCall*>(call)->scratchWindows;
  float* sums = const_cast<ConvCall*>(call)->scratchSums;
  Cursor at = {a, c, r, j};
  for (uint32_t i = 0; i < rows; ++i, at = next(call, at)) windows[i] = at.a;
  tileOf<V...>(rows, call, panel, first..., a, windows, sums, 4 * NV, final,
               low..., ahead, aheadStep);
  at = {a, c, r, j};
  for (uint32_t i = 0; i < rows; ++i, at = next(call, at)) {
    for (uint32_t v = 0; v < width; v += 4) {
      storeLanes(at.c + n + v, load(sums + v), width - v);
    }
    sums += 4 * NV;
  }
}

// How windows are shared out to tiles. They are shared out evenly, so that no
// tile is left with a single window. The divisions take as long as a few steps
// of a tile, so they are made once a block and not once a panel.
struct Shares {
  uint32_t tiles;
  // Windows of a tile. The first `taller` tiles have one more.
  uint32_t height;
  uint32_t taller;
  // The tiles touch the following panel as well, each its share of it. Every
  // four steps of a tile touch one place, `aheadStep` floats behind the one
  // before: the panel comes no faster than it has to.
  uint32_t aheadStep;
};

// Windows of at most kNearWindowBytes stay in the first-level cache. Touches
// beside them are at least kNearAheadStep floats apart, since a panel that
// comes more slowly costs time there. Beside more windows it is better if it
// comes slowly. Both were found by trial: see docs/measurements.md.
IM2WIN_INLINE Shares sharesOf(uint32_t windows, uint32_t mr, uint32_t depth) {
  const uint32_t tiles = (windows + mr - 1) / mr;
  const uint32_t height = windows / tiles;
  const uint32_t least =
      windows * depth * 4 <= kNearWindowBytes ? kNearAheadStep : 1;
  const uint32_t evenly = (4 * kNR + tiles - 1) / tiles;
  const uint32_t step = evenly < least ? least : evenly;
  return {tiles, height, windows - tiles * height, step < kLine ? step : kLine};
}

// How far a tile's touches read, in floats from its first one on.
IM2WIN_INLINE uint32_t reachOf(uint32_t share, uint32_t aheadStep) {
  return share + (aheadStep < 4 ? 4 - aheadStep : 0);
}

// Multiplies `panels` whole panels of vectors V, one after the other, by
// `tiles` tiles of MR windows. Windows and output pixels must go on evenly.
// Sums are made as in tile(), but without a call for each tile: that takes a
// fifth off where windows are 16 values deep. Beside each panel the next
// `comingFloats` floats at `coming` are touched; the first tile begins at
// `from`. `bias` is the first panel's, or null.
template <int MR, int... V>
IM2WIN_NOINLINE void evenTiles(const ConvCall* call, const float* panel,
                               uint32_t panels, const float* bias,
                               const float* coming, uint32_t comingFloats,
                               uint32_t from, uint32_t aheadStep,
                               const float* windows, float* pixels,
                               uint32_t tiles, f32x4 low, f32x4 high) {
  const uint32_t length = call->segmentLength;
  const uint32_t segments = call->segments;
  const uint32_t gap = call->segmentStride - length;
  const uint32_t share = depthOf(call) / 4 * aheadStep;
  const uint32_t reach = reachOf(share, aheadStep);
  const uint32_t windowStride = call->windowStride;
  const uint32_t pixelStride = call->outPixelStride;
  for (; panels != 0; --panels) {
    const f32x4 first[] = {(bias ? load(bias + 4 * V) : splat(0.0f))...};
    const float* row = panel;
    const float* a = windows;
    float* c = pixels;
    uint32_t place = from;
    for (uint32_t left = tiles; left != 0; --left) {
      const float* ahead =
          place + reach <= comingFloats ? coming + place : panel;
      place += share;
      const float* window[MR];
      f32x4 sum[MR][kNV];
      IM2WIN_UNROLL for (int i = 0; i < MR; ++i) {
        window[i] = a + i * windowStride;
        IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) sum[i][v] = first[v];
      }
      row = panel;
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
        IM2WIN_UNROLL for (uint32_t v = 0; v < kNV; ++v) {
          store(to + 4 * v, clamp(sum[i][v], low, high));
        }
        to += pixelStride;
      }
      a += MR * windowStride;
      c += MR * pixelStride;
    }
    if (bias) bias += kNR;
    panel = row;
    coming += comingFloats;
    pixels += kNR;
  }
}

template <int... V>
IM2WIN_INLINE void evenTilesOf(Vectors<V...>, uint32_t height,
                               const ConvCall* call, const float* panel,
                               uint32_t panels, const float* bias,
                               const float* coming, uint32_t comingFloats,
                               uint32_t from, uint32_t aheadStep,
                               const float* windows, float* pixels,
                               uint32_t tiles, f32x4 low, f32x4 high) {
#define IM2WIN_EVEN(MR)                                                  \
  if constexpr (MR >= kLeastEven && MR <= kMR) {                         \
    if (height == MR) {                                                  \
      return evenTiles<MR, V...>(call, panel, panels, bias, coming,      \
                                 comingFloats, from, aheadStep, windows, \
                                 pixels, tiles, low, high);              \
    }                                                                    \
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

// The bounds of a clamp. Sums that need none get infinite ones.
IM2WIN_INLINE f32x4 lowOf(const ConvCall* call, Final final) {
  return final == kClamped ? splat(call->low) : splat(-__builtin_inff());
}

IM2WIN_INLINE f32x4 highOf(const ConvCall* call, Final final) {
  return final == kClamped ? finalHigh(call) : splat(__builtin_inff());
}

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

// Multiplies one panel by all windows that are shared out, from the window at a
// and the pixel at c on.
template <int... V>
IM2WIN_NOINLINE void panelRows(const ConvCall* call, const float* panel,
                               uint32_t n, uint32_t width, const float* a,
                               float* c, uint32_t r, uint32_t j, uint32_t tiles,
                               uint32_t height, uint32_t taller,
                               uint32_t aheadStep, const float* following) {
  constexpr uint32_t NV = sizeof...(V);
  const uint32_t panelFloats = depthOf(call) * kNR;
  const uint32_t share = depthOf(call) / 4 * aheadStep;
  const uint32_t reach = reachOf(share, aheadStep);
  const bool inRegisters = finishesInRegisters(call);
  const Final final = finalOf(call);
  const uint32_t windows = tiles * height + taller;
  if (NV == kNV && width == kNR && final != kSloped && height >= kLeastEven &&
      goesOnEvenly(call, j, windows)) {
    const float* bias = firstBias(call, n);
    const f32x4 low = lowOf(call, final);
    const f32x4 high = highOf(call, final);
    const uint32_t higher = (height + 1) * taller;
    const float* rest = a + higher * call->windowStride;
    float* restTo = c + higher * call->outPixelStride;
    if (taller != 0) {
      evenTilesOf(WholePanel(), height + 1, call, panel, 1, bias, following,
                  panelFloats, 0, aheadStep, a, c + n, taller, low, high);
    }
    if (tiles != taller) {
      evenTilesOf(WholePanel(), height, call, panel, 1, bias, following,
                  panelFloats, taller * share, aheadStep, rest, restTo + n,
                  tiles - taller, low, high);
    }
    if (!inRegisters) finishWindows(call, a, c, r, j, n, width, windows);
    return;
  }
  const f32x4 first[NV] = {firstSum(call, n + 4 * V, width - 4 * V)...};
  const f32x4 low[NV] = {finalLow(call, final, n + 4 * V, width - 4 * V)...};
  Cursor at = {a, c, r, j};
  for (uint32_t t = 0; t < tiles; ++t) {
    const uint32_t rows = height + (t < taller ? 1 : 0);
    const uint32_t from = t * share;
    const float* ahead = from + reach <= panelFloats ? following + from : panel;
    // Most tiles lie within one output row.
    if (width == 4 * NV && at.j + rows <= uint32_t(call->rowLength)) {
      tileOf<V...>(rows, call, panel, first[V]..., at.a, nullptr, at.c + n,
                   call->outPixelStride, final, low[V]..., ahead, aheadStep);
    } else {
      tileRest<V...>(rows, call, panel, first[V]..., n, width, at.a, at.c, at.r,
                     at.j, final, low[V]..., ahead, aheadStep);
    }
    if (!inRegisters) {
      finishWindows(call, at.a, at.c, at.r, at.j, n, width, rows);
    }
    at = advance(call, at, rows);
  }
}

// The same with as many vectors as the panel's channels fill. `wide` and
// `narrow` are the shares for panels of more than four channels and of fewer.
IM2WIN_INLINE void panelRowsOf(const ConvCall* call, const float* panel,
                               uint32_t n, uint32_t width, Cursor at,
                               const Shares& wide, const Shares& narrow,
                               const float* following) {
#define IM2WIN_PANEL(LAST, ...)                                              \
  if constexpr (LAST < kNV) {                                                \
    if (width > 4 * LAST) {                                                  \
      return panelRows<__VA_ARGS__>(call, panel, n, width, at.a, at.c, at.r, \
                                    at.j, wide.tiles, wide.height,           \
                                    wide.taller, wide.aheadStep, following); \
    }                                                                        \
  }
  IM2WIN_PANEL(3, 0, 1, 2, 3)
  IM2WIN_PANEL(2, 0, 1, 2)
  IM2WIN_PANEL(1, 0, 1)
#undef IM2WIN_PANEL
  panelRows<0>(call, panel, n, width, at.a, at.c, at.r, at.j, narrow.tiles,
               narrow.height, narrow.taller, narrow.aheadStep, following);
}
