// A filter's transform, written as panels.
#pragma once

#include "job.h"
#include "panel.h"
#include "winograd.h"

// Where the points of a panel's row are written, `stride` floats apart, and
// those of the next row `rowStep` floats further.
struct PanelPoints {
  float* to;
  uint32_t stride;
  uint32_t rowStep;
};

// Taps, `stride` floats apart, and those of one row from those of the next
// `rowStep`. The filter has the first `count` taps, and the others are zeros.
struct RowTaps {
  const float* from;
  uint32_t stride;
  uint32_t count;
  uint32_t rowStep;
};

// The first `lanes` (1 to 3) floats at p: the tail of a panel, which is rare.
IM2WIN_NOINLINE f32x4 loadTail(const float* p, uint32_t lanes) {
  return loadLanes(p, lanes);
}

// Transforms `size` taps, TAPS or one less, to POINTS points, for `rows` rows
// of a panel. The transform may be written over the taps. A tap less is one of
// zeros.
template <int POINTS, uint32_t TAPS>
IM2WIN_NOINLINE void packTaps(PanelPoints points, RowTaps taps, uint32_t size,
                              uint32_t rows, uint32_t width) {
  const uint32_t pointStride = points.stride;
  for (; rows != 0; --rows) {
    IM2WIN_UNROLL for (uint32_t v = 0; v < kNR; v += 4) {
      const uint32_t lanes = width > v ? width - v : 0;
      const uint32_t count = lanes == 0 ? 0 : taps.count;
      const float* from = taps.from + v;
      f32x4 tap[TAPS];
      IM2WIN_UNROLL for (uint32_t q = 0; q < TAPS; ++q) {
        tap[q] = splat(0.0f);
        if (q < count) tap[q] = lanes < 4 ? loadTail(from, lanes) : load(from);
        from += taps.stride;
      }
      float* at = points.to + v;
      store(at, wasm_f32x4_mul(tap[0], splat(filterScale(POINTS, -1))));
      at += pointStride;
      IM2WIN_UNROLL for (int k = 0; k < POINTS / 2 - 1; ++k) {
        const float p = pairPoint(POINTS, k);
        const float scale = filterScale(POINTS, k);
        f32x4 even = wasm_f32x4_mul(tap[0], splat(scale));
        f32x4 odd = wasm_f32x4_mul(tap[1], splat(scale * p));
        float power = scale * p;
        IM2WIN_UNROLL for (uint32_t q = 2; q < TAPS; ++q) {
          power *= p;
          if (q % 2 == 0) {
            even = mulAdd(tap[q], splat(power), even);
          } else {
            odd = mulAdd(tap[q], splat(power), odd);
          }
        }
        store(at, wasm_f32x4_add(even, odd));
        at += pointStride;
        store(at, wasm_f32x4_sub(even, odd));
        at += pointStride;
      }
      store(at, size == TAPS ? tap[TAPS - 1] : tap[TAPS - 2]);
    }
    taps.from += taps.rowStep;
    points.to += points.rowStep;
  }
}

IM2WIN_INLINE void packTapsOf(uint32_t points, uint32_t size, PanelPoints to,
                              RowTaps from, uint32_t rows, uint32_t width) {
#define IM2WIN_TAPS(POINTS, TAPS)       \
  if (points == POINTS && size <= TAPS) \
    return packTaps<POINTS, TAPS>(to, from, size, rows, width);
  IM2WIN_TAPS(4, 3)
  IM2WIN_TAPS(6, 3)
  IM2WIN_TAPS(6, 5)
  IM2WIN_TAPS(8, 3)
  IM2WIN_TAPS(8, 5)
  IM2WIN_TAPS(8, 7)
#undef IM2WIN_TAPS
}

// How many taps a phase has: every stride-th one from `phase` on.
IM2WIN_INLINE uint32_t phaseTaps(uint32_t size, uint32_t stride,
                                 uint32_t phase) {
  return phase < size ? (size - phase + stride - 1) / stride : 0;
}

// Taps from one row of the filter that is packed to the next. A flipped filter
// is a copy without gaps; another may be a part of tfjs's filter.
IM2WIN_INLINE uint32_t rowTapsOf(const ConvJob* job) {
  return job->tapWidth ? job->filterWidth : job->rowTaps;
}

// Writes panels [first, last) of a tfjs filter: [panel][rowPoints][points]
// [rowPhases][strideWidth][inChannels][NR], or for shallow.h [panel]
// [rowPhases][strideWidth][inChannels][points][NR]. `rowPhases` is the stride
// along the height, or the filter's height where `rowPoints` is 1.
IM2WIN_NOINLINE void packWinograd(const ConvJob* job, float* panels,
                                  const float* filter, uint32_t first,
                                  uint32_t last) {
  const uint32_t filterWidth = job->filterWidth;
  const uint32_t filterHeight = job->filterHeight;
  const uint32_t inChannels = job->inChannels;
  const uint32_t outChannels = job->outChannels;
  const uint32_t strideWidth = job->strideWidth;
  const uint32_t rowPhases = job->rowPhases;
  const uint32_t rowPoints = job->rowPoints;
  const uint32_t points = job->points;
  const uint32_t taps = phaseTaps(filterWidth, strideWidth, 0);
  const uint32_t rowTaps = phaseTaps(filterHeight, rowPhases, 0);
  const uint32_t rowStep = job->shallow ? points * kNR : kNR;
  const uint32_t phaseFloats = inChannels * rowStep;
  const uint32_t pointStride =
      job->shallow ? kNR : rowPhases * strideWidth * phaseFloats;
  const uint32_t rowPointStride =
      rowPhases * strideWidth * inChannels * points * kNR;
  const uint32_t tapFloats = inChannels * outChannels;
  const uint32_t rowFloats = rowTapsOf(job) * tapFloats;
  for (uint32_t panel = first; panel < last; ++panel) {
    const uint32_t n = panel * kNR;
    const uint32_t width = outChannels - n < kNR ? outChannels - n : kNR;
    float* to = panels + panel * rowPoints * rowPointStride;
    for (uint32_t rowPhase = 0; rowPhase < rowPhases; ++rowPhase) {
      const uint32_t ownRows = phaseTaps(filterHeight, rowPhases, rowPhase);
      for (uint32_t phase = 0; phase < strideWidth; ++phase) {
        const uint32_t own = phaseTaps(filterWidth, strideWidth, phase);
        const float* from =
            filter + n + rowPhase * rowFloats + phase * tapFloats;
        if (rowPoints == 1) {
          packTapsOf(points, taps, {to, pointStride, rowStep},
                     {from, strideWidth * tapFloats, own, outChannels},
                     inChannels, width);
        } else {
          // Along the height first: tap q of a row is written where point q
          // will be, and the second transform writes over it.
          for (uint32_t q = 0; q < own; ++q) {
            packTapsOf(rowPoints, rowTaps,
                       {to + q * pointStride, rowPointStride, kNR},
                       {from + q * strideWidth * tapFloats,
                        rowPhases * rowFloats, ownRows, outChannels},
                       inChannels, width);
          }
          for (uint32_t u = 0; u < rowPoints; ++u) {
            float* row = to + u * rowPointStride;
            packTapsOf(points, taps, {row, pointStride, kNR},
                       {row, pointStride, own, kNR}, inChannels, kNR);
          }
        }
        to += phaseFloats;
      }
    }
  }
}
