// The walk: one panel times all windows of a block, tile by tile.
#pragma once

#include "even_tiles.h"
#include "tile.h"

// Where a tile stands: its first window, and the output pixel of that.
struct Cursor {
  const float* a;
  Pixel pixel;
};

IM2WIN_INLINE Cursor next(const ConvCall* call, Cursor at) {
  if (++at.pixel.j < uint32_t(call->rowLength)) {
    at.a += call->windowStride;
    at.pixel.c += call->outPixelStride;
    return at;
  }
  const int32_t back = call->rowLength - 1;
  at.a += call->windowRowStride - back * call->windowStride;
  at.pixel.c += call->outRowStride - back * call->outPixelStride;
  at.pixel.j = 0;
  ++at.pixel.r;
  return at;
}

IM2WIN_INLINE Cursor advance(const ConvCall* call, Cursor at,
                             uint32_t windows) {
  if (at.pixel.j + windows < uint32_t(call->rowLength)) {
    at.a += windows * call->windowStride;
    at.pixel.c += windows * call->outPixelStride;
    at.pixel.j += windows;
    return at;
  }
  for (; windows != 0; --windows) at = next(call, at);
  return at;
}

// What a tile reads, and where it writes.
struct Sides {
  Windows windows;
  Pixels pixels;
};

template <int NV>
IM2WIN_INLINE void tileOf(uint32_t height, const ConvCall* call,
                          const float* panel, Sides sides, Ahead ahead) {
#define IM2WIN_TILE(MR)                                                     \
  if constexpr (MR <= (NV == 1 ? kNarrowMR : kMR)) {                        \
    if (height == MR) {                                                     \
      return tile<MR, NV>(call, panel, sides.windows, sides.pixels, ahead); \
    }                                                                       \
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

// Finishes `channels` of the pixels of `count` windows, whose sums are stored.
IM2WIN_NOINLINE void finishWindows(const ConvCall* call, Cursor at,
                                   Channels channels, uint32_t count) {
  while (count != 0) {
    const uint32_t left = call->rowLength - at.pixel.j;
    const uint32_t own = count < left ? count : left;
    const Pixel first = {at.pixel.c + channels.first, at.pixel.r, at.pixel.j};
    finishPixels(call, first, channels, own);
    at = advance(call, at, own);
    count -= own;
  }
}

// A panel, and the channels that it computes.
struct Panel {
  const float* values;
  Channels channels;
};

// Multiplies a tile that is not whole, or that goes on in the next output row.
// Its windows are listed, and its sums stored, behind the call descriptor; the
// sums that count are copied to the output from there.
template <int NV>
IM2WIN_NOINLINE void tileRest(const ConvCall* call, uint32_t height,
                              Panel panel, Cursor from, Ahead ahead) {
  const float** list = const_cast<ConvCall*>(call)->scratch.windows;
  float* sums = const_cast<ConvCall*>(call)->scratch.sums;
  Cursor at = from;
  for (uint32_t i = 0; i < height; ++i, at = next(call, at)) list[i] = at.a;
  tileOf<NV>(height, call, panel.values, {{from.a, list}, {sums, 4 * NV}},
             ahead);
  const uint32_t width = panel.channels.count;
  at = from;
  for (uint32_t i = 0; i < height; ++i, at = next(call, at)) {
    for (uint32_t v = 0; v < width; v += 4) {
      storeLanes(at.pixel.c + panel.channels.first + v, load(sums + v),
                 width - v);
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

// Multiplies NV vectors of one panel by all windows that are shared out, from
// `at` on. Meanwhile the `following` panel is touched.
template <int NV>
IM2WIN_NOINLINE void walkVectors(const ConvCall* call, Panel panel, Cursor at,
                                 Shares shares, const float* following) {
  const uint32_t n = panel.channels.first;
  const uint32_t width = panel.channels.count;
  const bool inRegisters = finishesInRegisters(call);
  const Final final = finalOf(call);
  const uint32_t windows = shares.tiles * shares.height + shares.taller;
  const bool even = NV == kNV && width == kNR && final != kSloped &&
                    shares.height >= kLeastEven &&
                    goesOnEvenly(call, at.pixel.j, windows);
  if (even && tileRows(call, windows) != kMR) {
    shares = sharesOf(windows, kTallMR, depthOf(call));
  }
  const uint32_t taller = shares.taller;
  const uint32_t panelFloats = depthOf(call) * kNR;
  const uint32_t share = depthOf(call) / 4 * shares.aheadStep;
  const uint32_t reach = reachOf(share, shares.aheadStep);
  if (even) {
    const Panels one = {panel.values, 1, firstBias(call, n)};
    const Bounds bounds = boundsOf(call, final);
    const uint32_t higher = (shares.height + 1) * taller;
    const float* rest = at.a + higher * call->windowStride;
    float* restTo = at.pixel.c + higher * call->outPixelStride;
    if (taller != 0) {
      evenTilesOf(shares.height + 1, call, one,
                  {following, panelFloats, 0, shares.aheadStep},
                  {at.a, at.pixel.c + n, taller}, bounds);
    }
    if (shares.tiles != taller) {
      evenTilesOf(shares.height, call, one,
                  {following, panelFloats, taller * share, shares.aheadStep},
                  {rest, restTo + n, shares.tiles - taller}, bounds);
    }
    if (!inRegisters) finishWindows(call, at, panel.channels, windows);
    return;
  }
  writeTerms(call, n, width);
  for (uint32_t t = 0; t < shares.tiles; ++t) {
    const uint32_t height = shares.height + (t < taller ? 1 : 0);
    const uint32_t from = t * share;
    const Ahead ahead = {
        from + reach <= panelFloats ? following + from : panel.values,
        shares.aheadStep};
    // Most tiles lie within one output row.
    if (width == 4 * NV && at.pixel.j + height <= uint32_t(call->rowLength)) {
      tileOf<NV>(height, call, panel.values,
                 {{at.a, nullptr}, {at.pixel.c + n, call->outPixelStride}},
                 ahead);
    } else {
      tileRest<NV>(call, height, panel, at, ahead);
    }
    if (!inRegisters) finishWindows(call, at, panel.channels, height);
    at = advance(call, at, height);
  }
}

// The same with as many vectors as the panel's channels fill. `wide` and
// `narrow` are the shares for panels of more than four channels and of fewer.
IM2WIN_INLINE void walkPanel(const ConvCall* call, Panel panel, Cursor at,
                             const Shares& wide, const Shares& narrow,
                             const float* following) {
#define IM2WIN_VECTORS(NV)                                      \
  if constexpr (NV <= kNV) {                                    \
    if (panel.channels.count > 4 * (NV - 1)) {                  \
      return walkVectors<NV>(call, panel, at, wide, following); \
    }                                                           \
  }
  IM2WIN_VECTORS(4)
  IM2WIN_VECTORS(3)
  IM2WIN_VECTORS(2)
#undef IM2WIN_VECTORS
  walkVectors<1>(call, panel, at, narrow, following);
}
