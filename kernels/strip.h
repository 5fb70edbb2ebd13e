// The window strip (Lu, Chu and Liu, "Im2win: Memory Efficient Convolution on
// SIMD Architectures", HPEC 2022, section III): the input rows under one output
// row, interleaved column by column, so that a window is contiguous.
#pragma once

#include "simd.h"

IM2WIN_INLINE float* copy(float* to, const float* from, uint32_t count) {
  for (; count >= 4; count -= 4) {
    store(to, load(from));
    to += 4;
    from += 4;
  }
  for (; count != 0; --count) *to++ = *from++;
  return to;
}

IM2WIN_INLINE float* zero(float* to, uint32_t count) {
  for (; count >= 4; count -= 4) {
    store(to, splat(0.0f));
    to += 4;
  }
  for (; count != 0; --count) *to++ = 0.0f;
  return to;
}

// Which columns and rows of an image, [inHeight, inWidth, inChannels], are
// gathered. There is one strip for each of `strips` output rows. A strip is
// [groups][columns][filterHeight][inChannels]. Column t of group g is input
// column firstColumn + g * groupStep + t * columnStep. Row kh of the first
// strip is input row firstRow + kh * rowStep, and that of each following strip
// is `stripStep` rows further down. Rows and columns may lie outside the image:
// they are zeros.
struct Gather {
  int32_t inHeight, inWidth, inChannels;
  int32_t filterHeight;
  int32_t firstRow, rowStep;
  int32_t firstColumn, columnStep, columns;
  int32_t groupStep, groups;
  int32_t strips, stripStride, stripStep;
};

// Writes the first of the strips.
IM2WIN_NOINLINE void writeStrip(float* strip, const float* x, Gather g) {
  const int32_t inChannels = g.inChannels;
  const int32_t filterHeight = g.filterHeight;
  const int32_t columns = g.columns;
  // The filter rows [top, bottom) that lie inside the image.
  int32_t top = 0;
  while (top < filterHeight && g.firstRow + top * g.rowStep < 0) ++top;
  int32_t bottom = filterHeight;
  while (bottom > top && g.firstRow + (bottom - 1) * g.rowStep >= g.inHeight) {
    --bottom;
  }
  const float* row =
      x + (g.firstRow + top * g.rowStep) * g.inWidth * inChannels;
  const int32_t rowStride = g.rowStep * g.inWidth * inChannels;

  if (filterHeight == 1 && g.columnStep == 1 && g.groups == 1) {
    // The columns of a single row lie side by side in the image, too.
    int32_t left = g.firstColumn < 0 ? -g.firstColumn : 0;
    if (left > columns || bottom == 0 || top == 1) left = columns;
    int32_t inside = g.inWidth - (g.firstColumn + left);
    if (inside < 0 || left == columns) inside = 0;
    if (inside > columns - left) inside = columns - left;
    strip = zero(strip, left * inChannels);
    strip = copy(strip, row + (g.firstColumn + left) * inChannels,
                 inside * inChannels);
    zero(strip, (columns - left - inside) * inChannels);
    return;
  }
  for (int32_t group = 0; group < g.groups; ++group) {
    int32_t w = g.firstColumn + group * g.groupStep;
    for (int32_t t = 0; t < columns; ++t, w += g.columnStep) {
      if (w < 0 || w >= g.inWidth) {
        strip = zero(strip, filterHeight * inChannels);
        continue;
      }
      strip = zero(strip, top * inChannels);
      const float* from = row + w * inChannels;
      if (inChannels < 4 && (g.inWidth - w) * inChannels >= 4) {
        // A whole vector writes more than the channels. What is too much is
        // written over by what comes next.
        for (int32_t kh = top; kh < bottom; ++kh) {
          store(strip, load(from));
          strip += inChannels;
          from += rowStride;
        }
      } else {
        for (int32_t kh = top; kh < bottom; ++kh) {
          strip = copy(strip, from, inChannels);
          from += rowStride;
        }
      }
      strip = zero(strip, (filterHeight - bottom) * inChannels);
    }
  }
}

// Writes strips, `stripStride` floats apart. May write three floats behind the
// end of each.
IM2WIN_INLINE void gatherStrips(float* to, const float* x, Gather g) {
  for (; g.strips > 0; --g.strips) {
    writeStrip(to, x, g);
    to += g.stripStride;
    g.firstRow += g.stripStep;
  }
}
