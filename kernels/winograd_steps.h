// Two steps of a Winograd convolution: winogradInput transforms input rows, and
// winogradProducts multiplies and transforms back a block of output rows. The
// filter's transform is in winograd_pack.h.
#pragma once

#include "walk.h"
#include "winograd.h"

// A stride s along the width is a stride of 1 over an image whose columns are s
// columns of the input. Such a column has s * inChannels channels
// (`columnFloats`), which NHWC holds side by side already, and a filter row has
// ceil(filterWidth / s) taps. A stride s along the height makes s interleaved
// images, the phases, whose products add up.
//
// Where `rowPoints` is not 1, F(rowOutputs, row taps) along the height is
// nested in the transform along the width. Where it is 1, nothing is
// transformed along the height, and each filter row is a phase of its own.

// F(outputs, taps) along the width with `points` points and, where `rowPoints`
// is not 1, F(rowOutputs, row taps) along the height.
struct Transforms {
  uint32_t points, outputs;
  uint32_t rowPoints, rowOutputs;
};

// Gathered rows of columns. Rows are padded to whole pairs of vectors.
struct GatheredRows {
  float* rows;
  uint32_t rowStride;
  uint32_t columnFloats;
};

// Where transformed tiles are written. The points of a tile are `pointStride`
// floats apart.
struct InputTiles {
  float* to;
  uint32_t count;
  uint32_t stride;
  uint32_t pointStride;
};

// Transforms one row of gathered columns. A tile has POINTS columns, and tiles
// begin `outputs` columns apart.
template <int POINTS>
IM2WIN_INLINE void inputRow(InputTiles tiles, GatheredRows gathered,
                            uint32_t outputs) {
  const uint32_t columnFloats = gathered.columnFloats;
  const uint32_t pointStride = tiles.pointStride;
  for (uint32_t t = 0; t < tiles.count; ++t) {
    const float* from = gathered.rows + t * outputs * columnFloats;
    float* at = tiles.to + t * tiles.stride;
    int32_t left = columnFloats;
    for (; left >= 8; left -= 8) {
      f32x8 d[POINTS], v[POINTS];
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        d[i] = loadAs<f32x8>(from + i * columnFloats);
      }
      inputTransform<POINTS>(d, v);
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        storeAs(at + i * pointStride, v[i]);
      }
      from += 8;
      at += 8;
    }
    // Reads up to three floats behind a column, and stores none of them.
    for (; left > 0; left -= 4) {
      f32x4 d[POINTS], v[POINTS];
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        d[i] = load(from + i * columnFloats);
      }
      inputTransform<POINTS>(d, v);
      IM2WIN_UNROLL for (int i = 0; i < POINTS; ++i) {
        storeLanes(at + i * pointStride, v[i], left);
      }
      from += 4;
      at += 4;
    }
  }
}

// Transforms POINTS rows of `rowStride` floats along the height, in place.
template <int POINTS>
IM2WIN_INLINE void inputColumns(float* rows, uint32_t rowStride) {
  for (uint32_t i = 0; i < rowStride; i += 8) {
    f32x8 d[POINTS], v[POINTS];
    IM2WIN_UNROLL for (int u = 0; u < POINTS; ++u) {
      d[u] = loadAs<f32x8>(rows + u * rowStride + i);
    }
    inputTransform<POINTS>(d, v);
    IM2WIN_UNROLL for (int u = 0; u < POINTS; ++u) {
      storeAs(rows + u * rowStride + i, v[u]);
    }
  }
}

// The products at all points of one place. `even` and `odd` are the sums and
// differences of each pair of points.
template <int POINTS, typename Vector>
struct Products {
  Vector zero, infinity;
  Vector even[POINTS / 2 - 1], odd[POINTS / 2 - 1];

  IM2WIN_INLINE Products read(const float* product, uint32_t pointStride) {
    Products p;
    p.zero = loadAs<Vector>(product);
    IM2WIN_UNROLL for (int k = 0; k < POINTS / 2 - 1; ++k) {
      const Vector plus = loadAs<Vector>(product + (2 * k + 1) * pointStride);
      const Vector minus = loadAs<Vector>(product + (2 * k + 2) * pointStride);
      p.even[k] = add(plus, minus);
      p.odd[k] = sub(plus, minus);
    }
    p.infinity = loadAs<Vector>(product + (POINTS - 1) * pointStride);
    return p;
  }
};

// The most outputs of a tile are those of F(7,2).
#define IM2WIN_EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6)

// The products of a tile, or of several one behind the other. Points are
// `pointStride` floats apart, and panels `panelStride`.
struct ProductTile {
  const float* at;
  uint32_t pointStride;
  uint32_t panelStride;
};

// Transforms a tile back and finishes it: the first `count` of its `outputs`
// pixels, `pairs` times eight channels of each, whose terms the call has from
// `terms` on. The pixels may be written over the products.
template <int POINTS>
IM2WIN_NOINLINE void outputTile(const ConvCall* call, ProductTile products,
                                Pixels pixels, const Terms* terms,
                                uint32_t outputs, uint32_t count,
                                uint32_t pairs) {
  const Final final = finalOf(call);
  const f32x8 high = both<f32x8>(highOf(call));
  for (uint32_t v = 0; v < pairs; ++v) {
    const auto first = loadAs<f32x8>(terms[v].first);
    const auto own = loadAs<f32x8>(terms[v].slopeOrLow);
    const auto p =
        Products<POINTS, f32x8>::read(products.at, products.pointStride);
    products.at += (8 * v + 8) % kNR ? 8 : products.panelStride - (kNR - 8);
    float* pixel = pixels.to + 8 * v;
#define IM2WIN_OUTPUT(J)                                         \
  if constexpr (J + 1 < POINTS) {                                \
    if (J >= count) continue;                                    \
    f32x8 y = outputTransform<POINTS, J>(p.zero, p.even, p.odd); \
    if (J + 1 == outputs) {                                      \
      y = add(y, p.infinity);                                    \
      pin(y);                                                    \
    }                                                            \
    storeAs(pixel, finished(add(y, first), final, own, high));   \
    pixel += pixels.stride;                                      \
  }
    IM2WIN_EACH(IM2WIN_OUTPUT)
#undef IM2WIN_OUTPUT
  }
}

// Transforms products back along the height, in place. The POINTS rows of
// `count` floats, which follow one another, become `outputs` rows.
template <int POINTS>
IM2WIN_NOINLINE void outputColumns(float* products, uint32_t count,
                                   uint32_t outputs) {
  for (uint32_t i = 0; i < count; i += 8) {
    float* to = products + i;
    const auto p = Products<POINTS, f32x8>::read(to, count);
#define IM2WIN_OUTPUT(J)                                         \
  if constexpr (J + 1 < POINTS) {                                \
    if (J >= outputs) continue;                                  \
    f32x8 y = outputTransform<POINTS, J>(p.zero, p.even, p.odd); \
    if (J + 1 == outputs) {                                      \
      y = add(y, p.infinity);                                    \
      pin(y);                                                    \
    }                                                            \
    storeAs(to, y);                                              \
    to += count;                                                 \
  }
    IM2WIN_EACH(IM2WIN_OUTPUT)
#undef IM2WIN_OUTPUT
  }
}

// Transforms the products of a group of panels back along the width, and
// finishes `channels` of the output rows. The `rowOutputs` rows of a nested
// tile lie `rowStride` floats apart.
template <int POINTS>
IM2WIN_NOINLINE void outputRows(const ConvCall* call, Transforms transforms,
                                ProductTile products, uint32_t rowStride,
                                OutputRows rows, Channels channels) {
  const uint32_t outputs = transforms.outputs;
  const uint32_t rowOutputs = transforms.rowOutputs;
  const uint32_t n = channels.first;
  const uint32_t width = channels.count;
  const bool inRegisters = finishesInRegisters(call);
  const uint32_t outWidth = call->rowLength;
  const uint32_t tiles = (outWidth + outputs - 1) / outputs;
  const uint32_t pairs = width / 8;
  writeTerms(call, n, width);
  for (uint32_t r = 0; r < rows.count; ++r) {
    ProductTile tile = products;
    tile.at += r / rowOutputs * tiles * kNR + r % rowOutputs * rowStride;
    for (uint32_t j = 0; j < outWidth; j += outputs, tile.at += kNR) {
      float* to =
          rows.c + r * call->outRowStride + j * call->outPixelStride + n;
      const uint32_t left = outWidth - j;
      const uint32_t count = left < outputs ? left : outputs;
      outputTile<POINTS>(call, tile, {to, call->outPixelStride}, call->terms,
                         outputs, count, pairs);
      if (8 * pairs < width) {
        // The rest of the channels, by way of their products' place.
        ProductTile own = tile;
        own.at += 8 * pairs / kNR * tile.panelStride + 8 * pairs % kNR;
        float* from = const_cast<float*>(own.at);
        outputTile<POINTS>(call, own, {from, int32_t(own.pointStride)},
                           call->terms + pairs, outputs, count, 1);
        float* pixel = to + 8 * pairs;
        for (uint32_t i = 0; i < count; ++i) {
          for (uint32_t v = 0; 8 * pairs + v < width; v += 4) {
            storeLanes(pixel + v, load(from + v), width - 8 * pairs - v);
          }
          pixel += call->outPixelStride;
          from += own.pointStride;
        }
      }
      if (!inRegisters) finishPixels(call, {to, r, j}, channels, count);
    }
  }
}

// Panels whose products are made before they are transformed back, and room for
// these: [panels][rowPoints][points][window][NR]. So the windows are read once
// for all of them, and whole cache lines are written.
struct Group {
  float* products;
  uint32_t panels;
};

// Multiplies output rows, and transforms them back. `call` says how they are
// spaced, and has the epilogue. `gemm` describes the product of one point,
// whose windows are the transformed columns at `a`.
IM2WIN_NOINLINE void winogradProducts(const ConvCall* call,
                                      const ConvCall* gemm,
                                      Transforms transforms, const float* a,
                                      OutputRows rows, Group group) {
  const uint32_t outputs = transforms.outputs;
  const uint32_t rowOutputs = transforms.rowOutputs;
  const uint32_t points = transforms.points;
  const uint32_t rowPoints = transforms.rowPoints;
  float* products = group.products;
  const uint32_t outWidth = call->rowLength;
  const uint32_t tiles = (outWidth + outputs - 1) / outputs;
  const uint32_t windows = (rows.count + rowOutputs - 1) / rowOutputs * tiles;
  const uint32_t aPointStride = gemm->rowLength * gemm->windowStride;
  const uint32_t outChannels = call->outChannels;
  const uint32_t pointFloats = depthOf(gemm) * kNR;
  const uint32_t pointStride = windows * kNR;
  const uint32_t allPoints = rowPoints * points;
  const uint32_t rowStride = points * pointStride;
  const uint32_t panelStride = allPoints * pointStride;
  const Shares wide = sharesOf(windows, kMR, depthOf(gemm));
  const Shares narrow = sharesOf(windows, kNarrowMR, depthOf(gemm));
  const float* panels = gemm->panels;
  for (uint32_t n = 0; n < outChannels; n += group.panels * kNR) {
    const uint32_t left = outChannels - n;
    const uint32_t width =
        left < group.panels * kNR ? left : group.panels * kNR;
    for (uint32_t point = 0; point < allPoints; ++point) {
      const float* from = a + point * aPointStride;
      const float* panel = panels + point * pointFloats;
      float* to = products + point * pointStride;
      for (uint32_t m = 0; m < width; m += kNR) {
        // What is multiplied next, to be touched: the next panel of the group,
        // or the next point of its first panel, or the next group.
        const float* following =
            m + kNR < width         ? panel + allPoints * pointFloats
            : point + 1 < allPoints ? panels + (point + 1) * pointFloats
            : n + width < outChannels
                ? panels + group.panels * allPoints * pointFloats
                : gemm->panels;
        // Products of a whole panel, or of its vectors that have channels.
        int32_t lanes = 4;
        IM2WIN_UNROLL for (uint32_t v = 4; v < kNR; v += 4) {
          if (width - m > v) lanes = v + 4;
        }
        walkPanel(gemm, {panel, {0, lanes}}, {from, {to, 0, 0}}, wide, narrow,
                  following);
        panel += allPoints * pointFloats;
        to += panelStride;
      }
    }
    panels += group.panels * allPoints * pointFloats;
    for (float* own = products;
         own < products + (width + kNR - 1) / kNR * panelStride;
         own += panelStride) {
      if (rowPoints == 4) outputColumns<4>(own, rowStride, rowOutputs);
      if (rowPoints == 6) outputColumns<6>(own, rowStride, rowOutputs);
      if (rowPoints == 8) outputColumns<8>(own, rowStride, rowOutputs);
    }
    const auto back = [&](auto run) __attribute__((always_inline)) {
      run(call, transforms, {products, pointStride, panelStride}, rowStride,
          rows, {int32_t(n), int32_t(width)});
    };
    if (points == 4) back(outputRows<4>);
    if (points == 6) back(outputRows<6>);
    if (points == 8) back(outputRows<8>);
  }
}

// Transforms `rowPoints` gathered rows, first along the height (in place,
// unless `rowPoints` is 1), then along the width.
IM2WIN_NOINLINE void winogradInput(Transforms transforms, GatheredRows from,
                                   InputTiles tiles) {
  const uint32_t rowPoints = transforms.rowPoints;
  const uint32_t points = transforms.points;
  if (rowPoints == 4) inputColumns<4>(from.rows, from.rowStride);
  if (rowPoints == 6) inputColumns<6>(from.rows, from.rowStride);
  if (rowPoints == 8) inputColumns<8>(from.rows, from.rowStride);
  for (uint32_t u = 0; u < rowPoints; ++u) {
    if (points == 4) inputRow<4>(tiles, from, transforms.outputs);
    if (points == 6) inputRow<6>(tiles, from, transforms.outputs);
    if (points == 8) inputRow<8>(tiles, from, transforms.outputs);
    from.rows += from.rowStride;
    tiles.to += points * tiles.pointStride;
  }
}
