// Channels first (NCHW). Strips are gathered from planes, and finished blocks
// of output pixels are spread over planes. Everything between is as for NHWC.
#pragma once

#include "strip.h"

// One pixel of `lanes` (1 to 4) planes: the value at x and at the same place of
// the planes behind it.
IM2WIN_INLINE f32x4 pixelOf(const float* x, uint32_t planeFloats,
                            uint32_t lanes) {
  f32x4 v = wasm_v128_load32_zero(x);
  if (lanes > 1) v = wasm_v128_load32_lane(x + planeFloats, v, 1);
  if (lanes > 2) v = wasm_v128_load32_lane(x + 2 * planeFloats, v, 2);
  if (lanes > 3) v = wasm_v128_load32_lane(x + 3 * planeFloats, v, 3);
  return v;
}

// A row of `lanes` (1 to 4) planes. `x` is the row in the first of them, or
// null for a row of padding.
struct PlaneRow {
  const float* x;
  uint32_t planeFloats;
  uint32_t lanes;
  int32_t inWidth;
};

// The input columns first, first + step, ...
struct Columns {
  int32_t first;
  int32_t step;
  int32_t count;
};

// Writes columns of a row to a strip, `stride` floats apart.
IM2WIN_NOINLINE void stripRow(float* strip, uint32_t stride, PlaneRow row,
                              Columns columns) {
  const float* x = row.x;
  const uint32_t planeFloats = row.planeFloats;
  const uint32_t lanes = row.lanes;
  const int32_t inWidth = row.inWidth;
  int32_t w = columns.first;
  for (int32_t t = 0; t < columns.count;) {
    if (x && columns.step == 1 && lanes == 4 && w >= 0 && w + 4 <= inWidth &&
        t + 4 <= columns.count) {
      f32x4 v[4];
      IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
        v[i] = load(x + i * planeFloats + w);
      }
      transpose(v);
      IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
        store(strip + i * stride, v[i]);
      }
      strip += 4 * stride;
      t += 4;
      w += 4;
      continue;
    }
    const bool inside = x && w >= 0 && w < inWidth;
    storeLanes(strip, inside ? pixelOf(x + w, planeFloats, lanes) : splat(0.0f),
               lanes);
    strip += stride;
    ++t;
    w += columns.step;
  }
}

// The same as gatherStrips, from an image [inChannels, inHeight, inWidth].
IM2WIN_INLINE void gatherStripsOfPlanes(float* to, const float* x, Gather g) {
  const uint32_t stride = g.filterHeight * g.inChannels;
  const uint32_t planeFloats = g.inHeight * g.inWidth;
  for (; g.strips > 0; --g.strips) {
    float* strip = to;
    for (int32_t group = 0; group < g.groups; ++group) {
      const Columns columns = {g.firstColumn + group * g.groupStep,
                               g.columnStep, g.columns};
      for (int32_t kh = 0; kh < g.filterHeight; ++kh) {
        const int32_t h = g.firstRow + kh * g.rowStep;
        const bool inside = h >= 0 && h < g.inHeight;
        for (int32_t ci = 0; ci < g.inChannels; ci += 4) {
          const uint32_t lanes = g.inChannels - ci < 4 ? g.inChannels - ci : 4;
          const float* row =
              inside ? x + ci * planeFloats + h * g.inWidth : nullptr;
          stripRow(strip + kh * g.inChannels + ci, stride,
                   {row, planeFloats, lanes, g.inWidth}, columns);
        }
      }
      strip += g.columns * stride;
    }
    to += g.stripStride;
    g.firstRow += g.stripStep;
  }
}

// Writes `pixels` pixels of a block, [pixels, channels], to planes that are
// planeFloats apart.
IM2WIN_NOINLINE void spreadOverPlanes(float* to, const float* block,
                                      uint32_t pixels, uint32_t channels,
                                      uint32_t planeFloats) {
  for (uint32_t n = 0; n < channels; n += 4) {
    const uint32_t lanes = channels - n < 4 ? channels - n : 4;
    const float* from = block + n;
    float* plane = to + n * planeFloats;
    uint32_t pixel = 0;
    if (lanes == 4) {
      for (; pixel + 4 <= pixels; pixel += 4) {
        f32x4 v[4];
        IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
          v[i] = load(from + i * channels);
        }
        transpose(v);
        IM2WIN_UNROLL for (int i = 0; i < 4; ++i) {
          store(plane + i * planeFloats + pixel, v[i]);
        }
        from += 4 * channels;
      }
    }
    for (; pixel < pixels; ++pixel, from += channels) {
      for (uint32_t i = 0; i < lanes; ++i) {
        plane[i * planeFloats + pixel] = from[i];
      }
    }
  }
}
