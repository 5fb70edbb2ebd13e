// Depthwise convolution of an image in NHWC. Each input channel has
// `multiplier` filters of its own. Neighbouring output pixels share all but a
// stride's columns of the input. So a tile of them is summed in registers, and
// each column is loaded once for all of them. The filter is not packed, and
// windows are read where they lie.
#pragma once

#include "epilogue.h"
#include "image_rows.h"

// Eight channels. The two vectors of a column share one address.
struct f32x8 {
  f32x4 low, high;
};

template <typename Vector>
constexpr int lanesOf = sizeof(Vector) / sizeof(float);

template <typename Vector>
IM2WIN_INLINE Vector loadAs(const float* p) {
  if constexpr (lanesOf<Vector> == 4) {
    return load(p);
  } else {
    return {load(p), load(p + 4)};
  }
}

IM2WIN_INLINE void storeAs(float* p, f32x4 v) { store(p, v); }

IM2WIN_INLINE void storeAs(float* p, f32x8 v) {
  store(p, v.low);
  store(p + 4, v.high);
}

template <typename Vector>
IM2WIN_INLINE Vector both(f32x4 v) {
  if constexpr (lanesOf<Vector> == 4) {
    return v;
  } else {
    return {v, v};
  }
}

IM2WIN_INLINE f32x8 clamp(f32x8 y, f32x8 low, f32x4 high) {
  return {clamp(y.low, low.low, high), clamp(y.high, low.high, high)};
}

IM2WIN_INLINE f32x8 prelu(f32x8 y, f32x8 slope) {
  return {prelu(y.low, slope.low), prelu(y.high, slope.high)};
}

IM2WIN_INLINE f32x8 mulAdd(f32x8 a, f32x8 b, f32x8 c) {
  return {mulAdd(a.low, b.low, c.low), mulAdd(a.high, b.high, c.high)};
}

IM2WIN_INLINE void pin(f32x8& value) {
  pin(value.low);
  pin(value.high);
}

template <typename Vector>
IM2WIN_INLINE Vector slopeAs(const ConvCall* call, uint32_t n) {
  if constexpr (lanesOf<Vector> == 4) {
    return finalLow(call, kSloped, n, 4);
  } else {
    return {slopeAs<f32x4>(call, n), slopeAs<f32x4>(call, n + 4)};
  }
}

// Adds to the sums of T output pixels, a vector of channels each: the products
// of `rows` filter rows of KW taps. Output pixels are S columns apart. x is the
// first window's first value, and `filter` its first tap. Strides are in
// floats. Columns outside the input are left out. They are the first LEFT and
// the last RIGHT ones, and at an EDGE all but [begin, end), where `begin` is
// less than KW.
template <typename Vector, int KW, int S, int T, bool EDGE, int LEFT, int RIGHT>
IM2WIN_INLINE void columns(Vector* sum, const float* x, const float* filter,
                           uint32_t rows, uint32_t rowStride,
                           uint32_t pixelStride, int32_t begin, int32_t end) {
  for (; rows != 0; --rows) {
    Vector tap[KW];
    IM2WIN_UNROLL for (int kw = 0; kw < KW; ++kw) {
      tap[kw] = loadAs<Vector>(filter + kw * pixelStride);
    }
    const float* column = x + LEFT * pixelStride;
    IM2WIN_UNROLL for (int w = LEFT; w < (T - 1) * S + KW - RIGHT; ++w) {
      if (!EDGE || (w < end && (w >= KW - 1 || w >= begin))) {
        const Vector value = loadAs<Vector>(column);
        IM2WIN_UNROLL for (int kw = 0; kw < KW; ++kw) {
          if ((w - kw) % S == 0 && w >= kw && (w - kw) / S < T) {
            Vector& own = sum[(w - kw) / S];
            own = mulAdd(value, tap[kw], own);
            pin(own);
          }
        }
      }
      column += pixelStride;
      pin(column);
    }
    x += rowStride;
    filter += KW * pixelStride;
  }
}

// The S rows of the input that the next output row needs and this one does not,
// `stride` floats apart. Where there are none, `rows` is any row of the input,
// and `stride` 0.
struct Ahead {
  const float* rows;
  uint32_t stride;
};

// Computes the channels [from, to), whole vectors, of T pixels, or at an EDGE
// of `count`. A tile's loads go from column to column, which the machine does
// not foresee: what they wait for does not overlap with what they compute. So
// the tile also touches its part of the input rows that the next output row
// needs, at `ahead`, in the order in which it lies.
template <typename Vector, int KW, int S, int T, bool EDGE, int LEFT = 0,
          int RIGHT = 0>
IM2WIN_NOINLINE void depthwiseTile(const ConvCall* call, const float* x,
                                   const float* filter, float* c, uint32_t rows,
                                   uint32_t rowStride, uint32_t channels,
                                   uint32_t from, uint32_t to, uint32_t count,
                                   int32_t begin, int32_t end,
                                   const float* ahead, uint32_t aheadStride) {
  constexpr uint32_t LANES = lanesOf<Vector>;
  ahead += LEFT * channels;
  // Read before anything is stored: the compiler cannot know that no store
  // changes the call.
  const Final final = finalOf(call);
  const float* bias = firstBias(call, 0);
  const Vector low = both<Vector>(loadSplat(&call->low));
  const f32x4 high = finalHigh(call);
  const uint32_t outPixelStride = call->outPixelStride;
  for (uint32_t n = from; n < to; n += LANES) {
    if (!EDGE) {
      IM2WIN_UNROLL for (int s = 0; s < S; ++s) {
        IM2WIN_UNROLL for (uint32_t at = 0; at < T * S * LANES; at += kLine) {
          touch(ahead + s * aheadStride + at);
        }
      }
      ahead += T * S * LANES;
    }
    Vector sum[T];
    const Vector first =
        bias ? loadAs<Vector>(bias + n) : both<Vector>(splat(0));
    IM2WIN_UNROLL for (int t = 0; t < T; ++t) sum[t] = first;
    columns<Vector, KW, S, T, EDGE, LEFT, RIGHT>(
        sum, x + n, filter + n, rows, rowStride, channels, begin, end);
    float* pixel = c + n;
    const auto storeAll = [&](auto finish) __attribute__((always_inline)) {
      IM2WIN_UNROLL for (int t = 0; t < T; ++t) {
        if (EDGE && t >= int(count)) break;
        storeAs(pixel, finish(sum[t]));
        pixel += outPixelStride;
      }
    };
    if (final == kClamped) {
      storeAll([&](Vector y) { return clamp(y, low, high); });
    } else if (final == kSloped) {
      const Vector slope = slopeAs<Vector>(call, n);
      storeAll([&](Vector y) { return prelu(y, slope); });
    } else {
      storeAll([](Vector y) { return y; });
    }
  }
}

// Computes channels [n, outChannels) of one output pixel, for any filter. x and
// `filter` begin at the first tap inside the image, of which there are `rows`
// times `taps`. Strides and `filterRow` are in floats.
IM2WIN_NOINLINE void depthwisePixel(const ConvCall* call, const float* x,
                                    const float* filter, float* c, uint32_t n,
                                    uint32_t multiplier, uint32_t rows,
                                    uint32_t taps, uint32_t rowStride,
                                    uint32_t tapStride, uint32_t filterRow,
                                    uint32_t r, uint32_t j) {
  // Read before anything is stored: the compiler cannot know that no store
  // changes the call.
  const uint32_t outChannels = call->outChannels;
  const bool inRegisters = finishesInRegisters(call);
  const Final final = finalOf(call);
  const float* bias = firstBias(call, 0);
  const f32x4 bound = loadSplat(&call->low);
  const f32x4 high = finalHigh(call);
  const uint32_t begin = n;
  while (n < outChannels) {
    const uint32_t channel = n / multiplier;
    // The end of the channels that share an input value, or of all channels
    // where each has its own.
    const uint32_t end =
        multiplier == 1 ? outChannels : (channel + 1) * multiplier;
    for (; n < end; n += 4) {
      const uint32_t lanes = end - n < 4 ? end - n : 4;
      f32x4 sum = bias ? loadLanes(bias + n, lanes) : splat(0.0f);
      const float* xRow = x + (multiplier == 1 ? n : channel);
      const float* filterAt = filter + n;
      for (uint32_t kh = 0; kh < rows; ++kh) {
        const float* value = xRow;
        const float* tap = filterAt;
        for (uint32_t kw = 0; kw < taps; ++kw) {
          const f32x4 v =
              multiplier == 1 ? loadLanes(value, lanes) : loadSplat(value);
          sum = mulAdd(v, loadLanes(tap, lanes), sum);
          value += tapStride;
          tap += outChannels;
        }
        xRow += rowStride;
        filterAt += filterRow;
      }
      const f32x4 low =
          final == kSloped ? finalLow(call, final, n, lanes) : bound;
      storeLanes(c + n, finished(sum, final, low, high), lanes);
    }
    n = end;
  }
  if (!inRegisters) {
    finishPixels(call, c + begin, r, j, begin, outChannels - begin, 1);
  }
}

// Pixels of a tile four channels wide, and of one where fewer go on evenly.
constexpr int32_t kPixels = kDepthwiseVectors;
constexpr int32_t kFewer = kPixels - 1;

static_assert(kPixels % 4 == 0, "tiles are halved twice");

// The width of the next tile, where `left` (kFewer or more) pixels of a row are
// left. kFewer where that comes out even and kPixels does not.
IM2WIN_INLINE int32_t evenWidth(int32_t left) {
  return left % kFewer == 0 && left % kPixels != 0 ? kFewer
         : left >= kPixels                         ? kPixels
                                                   : kFewer;
}

// Computes the first `whole` channels of one output row, tile by tile.
template <int KW, int S>
IM2WIN_INLINE void depthwiseRow(const ConvCall* call, const float* x,
                                const float* filter, float* c, uint32_t rows,
                                uint32_t rowStride, uint32_t channels,
                                uint32_t whole, uint32_t r, int32_t inWidth,
                                int32_t padLeft, Ahead ahead) {
  const int32_t outWidth = call->rowLength;
  for (int32_t j = 0; j < outWidth;) {
    const int32_t w = j * S - padLeft;
    const int32_t at = w * int32_t(channels);
    float* pixel = c + j * call->outPixelStride;
    const int32_t left = outWidth - j;
    const int32_t begin = -w;
    const int32_t end = inWidth - w;
#define IM2WIN_INSIDE(T) (left >= T && begin <= 0 && end >= (T - 1) * S + KW)
#define IM2WIN_TILE(Vector, T, EDGE, FROM, TO)                          \
  depthwiseTile<Vector, KW, S, T, EDGE>(                                \
      call, x + at, filter, pixel, rows, rowStride, channels, FROM, TO, \
      left < T ? left : T, begin, end, ahead.rows + at, ahead.stride)
    // A tile is eight vectors of sums. At stride 2, where pixels share few of
    // their columns, it has half the pixels and twice the channels.
    if constexpr (KW == 3 && S == 2) {
      const uint32_t pairs = whole & ~7u;
      if (IM2WIN_INSIDE(kPixels / 2)) {
        IM2WIN_TILE(f32x8, kPixels / 2, false, 0, pairs);
        if (pairs < whole) IM2WIN_TILE(f32x4, kPixels / 2, false, pairs, whole);
      } else {
        if (left > kPixels / 4) {
          IM2WIN_TILE(f32x8, kPixels / 2, true, 0, pairs);
        } else {
          IM2WIN_TILE(f32x8, kPixels / 4, true, 0, pairs);
        }
        if (pairs < whole) IM2WIN_TILE(f32x4, kPixels / 2, true, pairs, whole);
      }
      j += left > kPixels / 4 ? kPixels / 2 : kPixels / 4;
    } else if (KW == 3 && left >= kFewer && begin <= 1 &&
               end > evenWidth(left)) {
      // At most one column of padding on either side, as is usual: the tile is
      // compiled for each case, and tests no column.
      const int32_t width = evenWidth(left);
#define IM2WIN_PADDED(T, LEFT, RIGHT)                                        \
  if (width == T && (begin == 1) == LEFT && (end == T + 1) == RIGHT) {       \
    depthwiseTile<f32x4, KW, S, T, false, LEFT, RIGHT>(                      \
        call, x + at, filter, pixel, rows, rowStride, channels, 0, whole, T, \
        begin, end, ahead.rows + at, ahead.stride);                          \
  }
      IM2WIN_PADDED(kFewer, 0, 0)
      IM2WIN_PADDED(kFewer, 0, 1)
      IM2WIN_PADDED(kFewer, 1, 0)
      IM2WIN_PADDED(kFewer, 1, 1)
      IM2WIN_PADDED(kPixels, 0, 0)
      IM2WIN_PADDED(kPixels, 0, 1)
      IM2WIN_PADDED(kPixels, 1, 0)
      IM2WIN_PADDED(kPixels, 1, 1)
#undef IM2WIN_PADDED
      j += width;
    } else if (IM2WIN_INSIDE(kPixels)) {
      IM2WIN_TILE(f32x4, kPixels, false, 0, whole);
      j += kPixels;
    } else if (left > kPixels / 2) {
      IM2WIN_TILE(f32x4, kPixels, true, 0, whole);
      j += kPixels;
    } else if (left > kPixels / 4) {
      IM2WIN_TILE(f32x4, kPixels / 2, true, 0, whole);
      j += kPixels / 2;
    } else {
      IM2WIN_TILE(f32x4, kPixels / 4, true, 0, whole);
      j += kPixels / 4;
    }
#undef IM2WIN_TILE
#undef IM2WIN_INSIDE
  }
  if (!finishesInRegisters(call)) {
    finishPixels(call, c, r, 0, 0, whole, outWidth);
  }
}

// Writes `outHeight` rows of call->rowLength pixels to c: [outHeight,
// rowLength, inChannels * multiplier], spaced as the call says. The image at x
// is [inHeight, inWidth, inChannels]. The filter is [filterHeight, filterWidth,
// inChannels, multiplier], and its rows are `rowTaps` taps apart. Output
// channel c * multiplier + m is input channel c times filter m of it. Of the
// call it reads outChannels, rowLength, the output's strides and the epilogue.
IM2WIN_NOINLINE void depthwiseRows(
    const ConvCall* call, const float* x, const float* filter, float* c,
    uint32_t outHeight, int32_t inHeight, int32_t inWidth, uint32_t inChannels,
    uint32_t multiplier, int32_t filterHeight, int32_t filterWidth,
    int32_t rowTaps, int32_t strideHeight, int32_t strideWidth,
    int32_t dilationHeight, int32_t dilationWidth, int32_t padTop,
    int32_t padLeft) {
  const int32_t outWidth = call->rowLength;
  const uint32_t outChannels = call->outChannels;
  const uint32_t rowFloats = inWidth * inChannels;
  const uint32_t rowStride = dilationHeight * rowFloats;
  const bool tiled = multiplier == 1 && dilationWidth == 1 &&
                     (filterWidth == 3 || filterWidth == 5) &&
                     (strideWidth == 1 || strideWidth == 2) &&
                     padLeft < filterWidth && rowTaps == filterWidth;
  const uint32_t whole = tiled ? outChannels & ~3u : 0;

  for (uint32_t r = 0; r < outHeight; ++r) {
    const int32_t h = int32_t(r) * strideHeight - padTop;
    const int32_t top = firstInside(h, dilationHeight);
    const int32_t bottom =
        lastInside(h, dilationHeight, filterHeight, inHeight);
    const uint32_t rows = bottom > top ? bottom - top : 0;
    const float* xRow = x + (h + top * dilationHeight) * int32_t(rowFloats);
    const float* filterRow = filter + top * rowTaps * outChannels;
    float* cRow = c + r * call->outRowStride;
    const int32_t next = h + (filterHeight - 1) * dilationHeight + 1;
    const Ahead ahead = next >= 0 && next + strideWidth <= inHeight
                            ? Ahead{x + next * int32_t(rowFloats), rowFloats}
                            : Ahead{x, 0};
#define IM2WIN_ROW(KW, S)                                               \
  if (whole != 0 && filterWidth == KW && strideWidth == S) {            \
    depthwiseRow<KW, S>(call, xRow, filterRow, cRow, rows, rowStride,   \
                        inChannels, whole, r, inWidth, padLeft, ahead); \
  }
    IM2WIN_ROW(3, 1)
    IM2WIN_ROW(3, 2)
    IM2WIN_ROW(5, 1)
    IM2WIN_ROW(5, 2)
#undef IM2WIN_ROW
    if (whole == outChannels) continue;
    // What no tile computes: channels that fill no vector, and other filters.
    for (int32_t j = 0; j < outWidth; ++j) {
      const int32_t w = j * strideWidth - padLeft;
      const int32_t begin = firstInside(w, dilationWidth);
      const int32_t end = lastInside(w, dilationWidth, filterWidth, inWidth);
      depthwisePixel(call,
                     xRow + (w + begin * dilationWidth) * int32_t(inChannels),
                     filterRow + begin * int32_t(outChannels),
                     cRow + j * call->outPixelStride, whole, multiplier, rows,
                     end > begin ? end - begin : 0, rowStride,
                     dilationWidth * inChannels, rowTaps * outChannels, r, j);
    }
  }
}
