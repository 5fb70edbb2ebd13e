// One panel times all windows of a block, tile by tile.
#pragma once

#include "tile.h"

template <int NV>
IM2WIN_INLINE void tileOf(uint32_t rows, const ConvCall* call,
                          const float* panel, uint32_t n, uint32_t width,
                          Cursor at, const float* ahead, uint32_t aheadStep) {
#define IM2WIN_TILE(MR)                                                       \
  case MR:                                                                    \
    return tile<MR, NV>(call, panel, n, width, at.a, at.c, at.r, at.j, ahead, \
                        aheadStep)
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

// One panel times `windows` windows from `at` on. The windows are shared out
// evenly, so that no tile is left with one.
template <int NV>
IM2WIN_NOINLINE void panelRows(const ConvCall* call, const float* panel,
                               uint32_t n, uint32_t width, const float* a,
                               float* c, uint32_t r, uint32_t j,
                               uint32_t windows, uint32_t mr,
                               const float* following) {
  const uint32_t tiles = (windows + mr - 1) / mr;
  const uint32_t height = windows / tiles;
  const uint32_t taller = windows % tiles;
  // The tiles share out the following panel, so that it comes no faster than it
  // has to: four steps touch a line, `aheadStep` floats behind the one before.
  const uint32_t panelFloats = depthOf(call) * kNR;
  const uint32_t aheadStep = tiles == 1 ? 16 : (4 * kNR + tiles - 1) / tiles;
  const uint32_t share = depthOf(call) / 4 * aheadStep;
  Cursor at = {a, c, r, j};
  for (uint32_t t = 0; t < tiles; ++t) {
    const uint32_t rows = height + (t < taller ? 1 : 0);
    const uint32_t from = t * share;
    const float* ahead = from + share <= panelFloats ? following + from : panel;
    tileOf<NV>(rows, call, panel, n, width, at, ahead, aheadStep);
    at = advance(call, at, rows);
  }
}
