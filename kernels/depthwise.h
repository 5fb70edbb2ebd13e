// Depthwise convolution of an image in NHWC. Each input channel has
// `multiplier` filters of its own. Neighbouring output pixels share all but a
// stride's columns of the input. So a tile of them is summed in registers, and
// each column is loaded once for all of them. The filter is not packed, and
// windows are read where they lie.
#pragma once

#include "epilogue.h"
#include "image_rows.h"

template <typename Vector>
IM2WIN_INLINE Vector slopeAs(const ConvCall* call, uint32_t n) {
  if constexpr (lanesOf<Vector> == 4) {
    return slopeOf(call, n, 4);
  } else {
    return {slopeOf(call, n, 4), slopeOf(call, n + 4, 4)};
  }
}

// Filter rows, and the input rows that they meet: the first window's first
// value, and its first tap. Input rows are `rowStride` floats apart, pixels and
// taps `channels`.
struct TapRows {
  const float* x;
  const float* filter;
  uint32_t count;
  uint32_t rowStride;
  uint32_t channels;
};

// Adds to the sums of T output pixels, a vector of channels each: the products
// of filter rows of KW taps. Output pixels are S columns apart. Columns outside
// the input are left out. They are the first LEFT and the last RIGHT ones, and
// at an EDGE all but those `inside`, of which the first is less than KW.
template <typename Vector, int KW, int S, int T, bool EDGE, int LEFT, int RIGHT>
IM2WIN_INLINE void columns(Vector* sum, TapRows rows, Range inside) {
  for (; rows.count != 0; --rows.count) {
    Vector tap[KW];
    IM2WIN_UNROLL for (int kw = 0; kw < KW; ++kw) {
      tap[kw] = loadAs<Vector>(rows.filter + kw * rows.channels);
    }
    const float* column = rows.x + LEFT * rows.channels;
    IM2WIN_UNROLL for (int w = LEFT; w < (T - 1) * S + KW - RIGHT; ++w) {
      if (!EDGE || (w < inside.last && (w >= KW - 1 || w >= inside.first))) {
        const Vector value = loadAs<Vector>(column);
        IM2WIN_UNROLL for (int kw = 0; kw < KW; ++kw) {
          if ((w - kw) % S == 0 && w >= kw && (w - kw) / S < T) {
            Vector& own = sum[(w - kw) / S];
            own = mulAdd(value, tap[kw], own);
            pin(own);
          }
        }
      }
      column += rows.channels;
      pin(column);
    }
    rows.x += rows.rowStride;
    rows.filter += KW * rows.channels;
  }
}

// Output pixels of a row, side by side.
struct RowPixels {
  float* c;
  uint32_t count;
};

// Computes channels, whole vectors, of T pixels, or at an EDGE of pixels.count.
// A tile's loads go from column to column, which the machine does not foresee:
// what they wait for does not overlap with what they compute. So the tile also
// touches its part of the S input rows that the next output row needs, in the
// order in which it lies.
template <typename Vector, int KW, int S, int T, bool EDGE, int LEFT = 0,
          int RIGHT = 0>
IM2WIN_NOINLINE void depthwiseTile(const ConvCall* call, TapRows rows,
                                   RowPixels pixels, Range channels,
                                   Range inside, Ahead ahead) {
  constexpr uint32_t LANES = lanesOf<Vector>;
  ahead.at += LEFT * rows.channels;
  // Read before anything is stored: the compiler cannot know that no store
  // changes the call.
  const Final final = finalOf(call);
  const float* bias = firstBias(call, 0);
  const Vector low = both<Vector>(loadSplat(&call->low));
  const Vector high = both<Vector>(highOf(call));
  const uint32_t outPixelStride = call->outPixelStride;
  for (uint32_t n = channels.first; n < uint32_t(channels.last); n += LANES) {
    if (!EDGE) {
      IM2WIN_UNROLL for (int s = 0; s < S; ++s) {
        IM2WIN_UNROLL for (uint32_t at = 0; at < T * S * LANES; at += kLine) {
          touch(ahead.at + s * ahead.step + at);
        }
      }
      ahead.at += T * S * LANES;
    }
    Vector sum[T];
    const Vector first =
        bias ? loadAs<Vector>(bias + n) : both<Vector>(splat(0));
    IM2WIN_UNROLL for (int t = 0; t < T; ++t) sum[t] = first;
    TapRows own = rows;
    own.x += n;
    own.filter += n;
    columns<Vector, KW, S, T, EDGE, LEFT, RIGHT>(sum, own, inside);
    float* pixel = pixels.c + n;
    const auto storeAll = [&](auto finish) __attribute__((always_inline)) {
      IM2WIN_UNROLL for (int t = 0; t < T; ++t) {
        if (EDGE && t >= int(pixels.count)) break;
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

// The taps of a window that lie inside the image, and the values that they
// meet: `rows` times `columns`. Strides are in floats.
struct TapsInside {
  const float* x;
  const float* filter;
  uint32_t rows, columns;
  uint32_t rowStride, columnStride;
  uint32_t filterRow;
};

// Computes channels [n, outChannels) of one output pixel, for any filter.
IM2WIN_NOINLINE void depthwisePixel(const ConvCall* call, TapsInside taps,
                                    Pixel pixel, uint32_t n,
                                    uint32_t multiplier) {
  // Read before anything is stored: the compiler cannot know that no store
  // changes the call.
  const uint32_t outChannels = call->outChannels;
  const bool inRegisters = finishesInRegisters(call);
  const Final final = finalOf(call);
  const float* bias = firstBias(call, 0);
  const f32x4 low = loadSplat(&call->low);
  const f32x4 high = highOf(call);
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
      const float* xRow = taps.x + (multiplier == 1 ? n : channel);
      const float* filterAt = taps.filter + n;
      for (uint32_t kh = 0; kh < taps.rows; ++kh) {
        const float* value = xRow;
        const float* tap = filterAt;
        for (uint32_t kw = 0; kw < taps.columns; ++kw) {
          const f32x4 v =
              multiplier == 1 ? loadLanes(value, lanes) : loadSplat(value);
          sum = mulAdd(v, loadLanes(tap, lanes), sum);
          value += taps.columnStride;
          tap += outChannels;
        }
        xRow += taps.rowStride;
        filterAt += taps.filterRow;
      }
      const f32x4 own = final == kSloped ? slopeOf(call, n, lanes) : low;
      storeLanes(pixel.c + n, finished(sum, final, own, high), lanes);
    }
    n = end;
  }
  if (!inRegisters) {
    pixel.c += begin;
    finishPixels(call, pixel, {int32_t(begin), int32_t(outChannels - begin)},
                 1);
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

// One side of a convolution: the input's size, the filter's taps, and how these
// are laid over it.
struct Side {
  int32_t size;
  int32_t taps;
  int32_t stride;
  int32_t dilation;
  int32_t pad;
};

// Computes the first `whole` channels of an output row from its first pixel on,
// tile by tile. `rows` and `ahead` begin at the input's first column.
template <int KW, int S>
IM2WIN_INLINE void depthwiseRow(const ConvCall* call, TapRows rows, Pixel first,
                                int32_t whole, Side across, Ahead ahead) {
  const int32_t outWidth = call->rowLength;
  for (int32_t j = 0; j < outWidth;) {
    const int32_t w = j * S - across.pad;
    const int32_t at = w * int32_t(rows.channels);
    TapRows own = rows;
    own.x += at;
    float* pixel = first.c + j * call->outPixelStride;
    const int32_t left = outWidth - j;
    const int32_t begin = -w;
    const int32_t end = across.size - w;
#define IM2WIN_INSIDE(T) (left >= T && begin <= 0 && end >= (T - 1) * S + KW)
#define IM2WIN_TILE(Vector, T, EDGE, FROM, TO)                       \
  depthwiseTile<Vector, KW, S, T, EDGE>(                             \
      call, own, {pixel, uint32_t(left < T ? left : T)}, {FROM, TO}, \
      {begin, end}, {ahead.at + at, ahead.step})
    // A tile is eight vectors of sums. At stride 2, where pixels share few of
    // their columns, it has half the pixels and twice the channels.
    if constexpr (KW == 3 && S == 2) {
      const int32_t pairs = whole & ~7;
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
#define IM2WIN_PADDED(T, LEFT, RIGHT)                                  \
  if (width == T && (begin == 1) == LEFT && (end == T + 1) == RIGHT) { \
    depthwiseTile<f32x4, KW, S, T, false, LEFT, RIGHT>(                \
        call, own, {pixel, T}, {0, whole}, {begin, end},               \
        {ahead.at + at, ahead.step});                                  \
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
    finishPixels(call, first, {0, whole}, outWidth);
  }
}

// [filterHeight, filterWidth, inChannels, multiplier], with `rowTaps` taps from
// one row to the next.
struct DepthwiseFilter {
  const float* data;
  uint32_t inChannels;
  uint32_t multiplier;
  int32_t rowTaps;
};

// Writes output rows. The image at x is [down.size, across.size, inChannels].
// Output channel c * multiplier + m is input channel c times filter m of it. Of
// the call it reads outChannels, rowLength, the output's strides and the
// epilogue.
IM2WIN_NOINLINE void depthwiseRows(const ConvCall* call, const float* x,
                                   DepthwiseFilter filter, OutputRows rows,
                                   Side down, Side across) {
  const int32_t outWidth = call->rowLength;
  const uint32_t outChannels = call->outChannels;
  const uint32_t inChannels = filter.inChannels;
  const uint32_t rowFloats = across.size * inChannels;
  const uint32_t rowStride = down.dilation * rowFloats;
  const bool tiled = filter.multiplier == 1 && across.dilation == 1 &&
                     (across.taps == 3 || across.taps == 5) &&
                     (across.stride == 1 || across.stride == 2) &&
                     across.pad < across.taps && filter.rowTaps == across.taps;
  const uint32_t whole = tiled ? outChannels & ~3u : 0;

  for (uint32_t r = 0; r < rows.count; ++r) {
    const int32_t h = int32_t(r) * down.stride - down.pad;
    const int32_t top = firstInside(h, down.dilation);
    const int32_t bottom = lastInside(h, down.dilation, down.taps, down.size);
    TapRows under;
    under.x = x + (h + top * down.dilation) * int32_t(rowFloats);
    under.filter = filter.data + top * filter.rowTaps * outChannels;
    under.count = bottom > top ? bottom - top : 0;
    under.rowStride = rowStride;
    under.channels = inChannels;
    float* c = rows.c + r * call->outRowStride;
    // Where the next output row needs no further rows, any row is touched.
    const int32_t next = h + (down.taps - 1) * down.dilation + 1;
    const Ahead ahead = next >= 0 && next + across.stride <= down.size
                            ? Ahead{x + next * int32_t(rowFloats), rowFloats}
                            : Ahead{x, 0};
#define IM2WIN_ROW(KW, S)                                              \
  if (whole != 0 && across.taps == KW && across.stride == S) {         \
    depthwiseRow<KW, S>(call, under, {c, r, 0}, whole, across, ahead); \
  }
    IM2WIN_ROW(3, 1)
    IM2WIN_ROW(3, 2)
    IM2WIN_ROW(5, 1)
    IM2WIN_ROW(5, 2)
#undef IM2WIN_ROW
    if (whole == outChannels) continue;
    // What no tile computes: channels that fill no vector, and other filters.
    for (int32_t j = 0; j < outWidth; ++j) {
      const int32_t w = j * across.stride - across.pad;
      const int32_t begin = firstInside(w, across.dilation);
      const int32_t end =
          lastInside(w, across.dilation, across.taps, across.size);
      TapsInside taps;
      taps.x = under.x + (w + begin * across.dilation) * int32_t(inChannels);
      taps.filter = under.filter + begin * int32_t(outChannels);
      taps.rows = under.count;
      taps.columns = end > begin ? end - begin : 0;
      taps.rowStride = rowStride;
      taps.columnStride = across.dilation * inChannels;
      taps.filterRow = filter.rowTaps * outChannels;
      depthwisePixel(call, taps, {c + j * call->outPixelStride, r, uint32_t(j)},
                     whole, filter.multiplier);
    }
  }
}
