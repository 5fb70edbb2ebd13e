// The input rows under some output rows, as the kernels that read them where
// they lie see them.
#pragma once

#include "job.h"
#include "planes.h"

// Rows of an image, `dilation` of them from a filter's tap to the next; the
// first output row's window begins `padTop` rows above the first.
struct InputRows {
  int32_t count;
  int32_t padTop;
  int32_t dilation;
};

IM2WIN_INLINE InputRows allRows(const ConvJob* job) {
  return {job->inHeight, job->padTop, job->dilationHeight};
}

// Columns, taps, positions or channels [first, last).
struct Range {
  int32_t first;
  int32_t last;
};

// The taps [first, last) of a filter's side that lie inside the input, for an
// output whose first tap is at `at`.
IM2WIN_INLINE int32_t firstInside(int32_t at, int32_t dilation) {
  return at >= 0 ? 0 : (-at + dilation - 1) / dilation;
}

IM2WIN_INLINE int32_t lastInside(int32_t at, int32_t dilation, int32_t taps,
                                 int32_t size) {
  if (at >= size) return 0;
  const int32_t inside = (size - at + dilation - 1) / dilation;
  return inside < taps ? inside : taps;
}

// Gathers the rows of planes under output rows [row, row + rows), as far as
// there are any, to [row][width][channels].
IM2WIN_INLINE InputRows gatherInputRows(const ConvJob* job, float* to,
                                        const float* x, int32_t row,
                                        int32_t rows) {
  const int32_t top = row * job->strideHeight - job->padTop;
  Gather g = {};
  InputRows in;
  if (job->rowsApart) {
    const int32_t tap = firstInside(top, job->dilationHeight);
    const int32_t end =
        lastInside(top, job->dilationHeight, job->filterHeight, job->inHeight);
    in = {most(0, end - tap), tap, 1};
    g.firstRow = top + tap * job->dilationHeight;
    g.stripStep = job->dilationHeight;
  } else {
    const int32_t span = (rows - 1) * job->strideHeight +
                         (job->filterHeight - 1) * job->dilationHeight + 1;
    const int32_t first = most(0, least(job->inHeight, top));
    const int32_t end = most(0, least(job->inHeight, top + span));
    in = {most(0, end - first), first - top, job->dilationHeight};
    g.firstRow = first;
    g.stripStep = 1;
  }
  g.inHeight = job->inHeight;
  g.inWidth = g.columns = job->inWidth;
  g.inChannels = job->inChannels;
  g.filterHeight = 1;
  g.rowStep = 1;
  g.columnStep = 1;
  g.groups = 1;
  g.strips = in.count;
  g.stripStride = job->inWidth * job->inChannels;
  gatherStripsOfPlanes(to, x, g);
  return in;
}
