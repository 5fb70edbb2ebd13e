// What the gradients with respect to a filter go through: images, and of planes
// blocks of gathered rows.
#pragma once

#include "image_rows.h"

// Rows of an image and of dy, in NHWC, that belong together.
struct ImageRows {
  const float* x;
  const float* dy;
  InputRows in;
  int32_t outRows;
};

// Pixels of an image and those of dy that a tap multiplies them by: `pixels` of
// each of `rows` rows. Strides are in floats.
struct PixelPairs {
  const float* x;
  const float* dy;
  uint32_t rows, pixels;
  uint32_t xPixel, xRow;
  uint32_t dyPixel, dyRow;
};

// Image after image; of planes block after block, gathered to `at`.
template <typename Run>
IM2WIN_INLINE void forEachRows(const ConvJob* job, float* at, Run run) {
  const int32_t xRow = job->inWidth * job->inChannels;
  const int32_t dyRow = job->outWidth * job->outChannels;
  for (int32_t image = 0; image < job->batchSize; ++image) {
    const float* x = job->x + image * job->inHeight * xRow;
    const float* dy = job->dy + image * job->outHeight * dyRow;
    if (!job->planar) {
      run({x, dy, allRows(job), job->outHeight});
      continue;
    }
    for (int32_t row = 0; row < job->outHeight; row += job->rowsPerBlock) {
      const int32_t rows = least(job->rowsPerBlock, job->outHeight - row);
      float* dyRows = at + job->gatheredBytes / 4;
      const InputRows in = gatherInputRows(job, at, x, row, rows);
      Gather g = {};
      g.filterHeight = 1;
      g.rowStep = 1;
      g.columnStep = 1;
      g.groups = 1;
      g.stripStep = 1;
      g.inHeight = job->outHeight;
      g.inWidth = g.columns = job->outWidth;
      g.inChannels = job->outChannels;
      g.firstRow = row;
      g.strips = rows;
      g.stripStride = dyRow;
      gatherStripsOfPlanes(dyRows, dy, g);
      run({at, dyRows, in, rows});
    }
  }
}

// Output positions whose input position, position * stride + offset, is inside.
IM2WIN_INLINE Range insideOf(int32_t offset, int32_t stride, int32_t input,
                             int32_t output) {
  const int32_t first = offset >= 0 ? 0 : (stride - 1 - offset) / stride;
  const int32_t last =
      input > offset ? (input - offset + stride - 1) / stride : 0;
  return {first, least(output, last)};
}

// Taps [first, last) of a filter's side that some output sees inside the input.
IM2WIN_INLINE Range tapsSeen(int32_t pad, int32_t stride, int32_t dilation,
                             int32_t taps, int32_t input, int32_t output) {
  const int32_t from = pad - (output - 1) * stride;
  return {from <= 0 ? 0 : (from + dilation - 1) / dilation,
          least(taps, pad + input > 0 ? (pad + input - 1) / dilation + 1 : 0)};
}

IM2WIN_INLINE void clear(float* to, uint32_t count) {
  for (uint32_t i = 0; i < count; i += 4) {
    storeLanes(to + i, splat(0.0f), count - i);
  }
}
