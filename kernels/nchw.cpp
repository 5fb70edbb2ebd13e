// Channels first: strips are gathered from planes, and finished blocks of
// output pixels are spread over planes. All between is as for NHWC.
#include "simd.h"

// Four channels of a strip column at a time: `lanes` (1 to 4) planes from x on.
IM2WIN_INLINE f32x4 pixelOf(const float* x, uint32_t planeFloats,
                            uint32_t lanes) {
  f32x4 v = wasm_v128_load32_zero(x);
  if (lanes > 1) v = wasm_v128_load32_lane(x + planeFloats, v, 1);
  if (lanes > 2) v = wasm_v128_load32_lane(x + 2 * planeFloats, v, 2);
  if (lanes > 3) v = wasm_v128_load32_lane(x + 3 * planeFloats, v, 3);
  return v;
}

// One row of `lanes` channels: columns t * columnStep from firstColumn on,
// `stride` floats apart in the strip. `x` is the first plane's row, or null for
// padding.
IM2WIN_NOINLINE void stripRow(float* strip, uint32_t stride, const float* x,
                              uint32_t planeFloats, uint32_t lanes,
                              int32_t inWidth, int32_t firstColumn,
                              int32_t columnStep, int32_t columns) {
  int32_t w = firstColumn;
  for (int32_t t = 0; t < columns;) {
    if (x && columnStep == 1 && lanes == 4 && w >= 0 && w + 4 <= inWidth &&
        t + 4 <= columns) {
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
    w += columnStep;
  }
}

// As im2win_strip, from the image [inChannels, inHeight, inWidth] at x.
IM2WIN_EXPORT(im2win_strip_nchw)
void im2win_strip_nchw(float* to, const float* x, int32_t inHeight,
                       int32_t inWidth, int32_t inChannels,
                       int32_t filterHeight, int32_t firstRow, int32_t rowStep,
                       int32_t firstColumn, int32_t columnStep, int32_t columns,
                       int32_t groupStep, int32_t groups, int32_t strips,
                       int32_t stripStride, int32_t stripStep) {
  const uint32_t stride = filterHeight * inChannels;
  const uint32_t planeFloats = inHeight * inWidth;
  for (; strips > 0; --strips) {
    float* strip = to;
    for (int32_t g = 0; g < groups; ++g) {
      for (int32_t kh = 0; kh < filterHeight; ++kh) {
        const int32_t h = firstRow + kh * rowStep;
        const bool inside = h >= 0 && h < inHeight;
        for (int32_t ci = 0; ci < inChannels; ci += 4) {
          const uint32_t lanes = inChannels - ci < 4 ? inChannels - ci : 4;
          stripRow(strip + kh * inChannels + ci, stride,
                   inside ? x + ci * planeFloats + h * inWidth : nullptr,
                   planeFloats, lanes, inWidth, firstColumn + g * groupStep,
                   columnStep, columns);
        }
      }
      strip += columns * stride;
    }
    to += stripStride;
    firstRow += stripStep;
  }
}

// Writes `pixels` pixels of a block, [pixels, channels], to planes that are
// planeFloats apart.
IM2WIN_EXPORT(im2win_spread_nchw)
void im2win_spread_nchw(float* to, const float* block, uint32_t pixels,
                        uint32_t channels, uint32_t planeFloats) {
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
