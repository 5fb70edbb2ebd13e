// Images in another size, NHWC. A job is a record (resize.def).
//
// A row between two others is interpolated along the width first. Two output
// rows that lie between the same two of the image are computed together.
#define IM2WIN_FEW IM2WIN_INLINE
#include "task.h"

struct ResizeJob {
#define FIELD(type, name) type name;
#include "resize.def"
#undef FIELD
};

struct Sample {
#define FIELD(type, name) type name;
#include "sample.def"
#undef FIELD
};

IM2WIN_INLINE const Sample* rowsOf(const ResizeJob* job) {
  return (const Sample*)(job + 1);
}

IM2WIN_INLINE const Sample* columnsOf(const ResizeJob* job) {
  return rowsOf(job) + job->outHeight;
}

IM2WIN_INLINE const float* valueAt(const char* row, uint32_t bytes) {
  return (const float*)(uintptr_t(row) + bytes);
}

IM2WIN_INLINE f32x4 between(f32x4 a, f32x4 b, f32x4 fraction) {
  return mulAdd(wasm_f32x4_sub(b, a), fraction, a);
}

// The nearest pixels of a row, side by side.
IM2WIN_SMALL void gatherRow(const ResizeJob* job, float* to, const char* row) {
  const uint32_t channels = job->channels;
  const Sample* column = columnsOf(job);
  const Sample* end = column + job->outWidth;
  if (channels < 4) {
    for (; column < end; ++column, to += channels) {
      storeLanes(to, loadLanes(valueAt(row, column->low), channels), channels);
    }
    return;
  }
  for (; column < end; ++column, to += channels) {
    const float* from = valueAt(row, column->low);
    for (uint32_t i = 0; i + 4 <= channels; i += 4)
      store(to + i, load(from + i));
    // Some of these are written once more.
    store(to + channels - 4, load(from + channels - 4));
  }
}

// Output rows between the same two of the image, or one that lies on a row.
template <int R>
struct Between {
  const char* low;
  const char* high;
  f32x4 fraction[R];
  float* to;
};

// A vector of a pixel of each row, or a single value: along the width first.
template <int R, bool onRow, bool whole>
IM2WIN_INLINE void interpolate(const Between<R>& rows, uint32_t toStep,
                               Sample column, f32x4 fraction, uint32_t i) {
  const auto across = [&](const char* row) __attribute__((always_inline)) {
    const float* low = valueAt(row, column.low) + i;
    const float* high = valueAt(row, column.high) + i;
    return whole ? between(load(low), load(high), fraction)
                 : between(wasm_v128_load32_zero(low),
                           wasm_v128_load32_zero(high), fraction);
  };
  const f32x4 low = across(rows.low);
  const f32x4 high = onRow ? low : across(rows.high);
  IM2WIN_UNROLL
  for (int r = 0; r < R; ++r) {
    const f32x4 v = between(low, high, rows.fraction[r]);
    float* to = rows.to + r * toStep + i;
    if (whole) {
      store(to, v);
    } else {
      wasm_v128_store32_lane(to, v, 0);
    }
  }
}

// How many columns of a row are computed by whole vectors. Of fewer than four
// channels a vector goes on in the next pixels, which those at the end of a row
// do not have.
IM2WIN_SMALL uint32_t wholeColumns(const ResizeJob* job) {
  uint32_t columns = job->outWidth;
  if (job->channels >= 4) return columns;
  const uint32_t rowBytes = 4 * job->inWidth * job->channels;
  columns -= least(columns, 3u);
  while (columns > 0 && columnsOf(job)[columns - 1].high + 16 > rowBytes) {
    --columns;
  }
  return columns;
}

// The other ones, of one row.
IM2WIN_SMALL void interpolateEnd(const ResizeJob* job, Between<1> row) {
  const Sample* end = columnsOf(job) + job->outWidth;
  for (const Sample* at = columnsOf(job) + wholeColumns(job); at < end; ++at) {
    float* const pixel = row.to + (at - columnsOf(job)) * job->channels;
    const Between<1> own = {row.low, row.high, {row.fraction[0]}, pixel};
    for (uint32_t i = 0; i < job->channels; ++i) {
      interpolate<1, false, false>(own, 0, *at, splat(at->fraction), i);
    }
  }
}

template <int R, bool onRow>
IM2WIN_NOINLINE void interpolateRows(const ResizeJob* job, Between<R> rows) {
  const uint32_t channels = job->channels;
  const uint32_t toStep = job->outWidth * channels;
  const Sample* at = columnsOf(job);
  const Sample* const end = at + wholeColumns(job);
  const uint32_t last = channels < 4 ? 0 : channels - 4;
  for (; at < end; ++at, rows.to += channels) {
    const Sample column = *at;
    const f32x4 fraction = splat(column.fraction);
    // Some values of the last vector may be computed once more.
    for (uint32_t i = 0;; i += 4) {
      i = least(i, last);
      interpolate<R, onRow, true>(rows, toStep, column, fraction, i);
      if (i == last) break;
    }
  }
}

// Output rows of one image.
IM2WIN_SMALL void interpolateImage(const ResizeJob* job, const char* image,
                                   float* to, Share rows) {
  const uint32_t outRow = job->outWidth * job->channels;
  const uint32_t rowBytes = 4 * job->inWidth * job->channels;
  for (uint32_t row = rows.first; row < rows.last;) {
    const Sample* down = rowsOf(job) + row;
    const char* low = image + down->low * rowBytes;
    const char* high = image + down->high * rowBytes;
    const Between<1> one = {
        low, high, {splat(down->fraction)}, to + row * outRow};
    uint32_t count = 1;
    if (row + 1 < rows.last && down[1].low == down[0].low &&
        down[1].high == down[0].high) {
      count = 2;
      const f32x4 other = splat(down[1].fraction);
      interpolateRows<2, false>(job,
                                {low, high, {one.fraction[0], other}, one.to});
    } else if (low == high) {
      interpolateRows<1, true>(job, one);
    } else {
      interpolateRows<1, false>(job, one);
    }
    for (uint32_t end = row + count; row < end; ++row) {
      interpolateEnd(
          job,
          {low, high, {splat(rowsOf(job)[row].fraction)}, to + row * outRow});
    }
  }
}

IM2WIN_SMALL void takeNearest(const ResizeJob* job, const char* image,
                              float* to, Share rows) {
  const uint32_t outRow = job->outWidth * job->channels;
  const uint32_t rowBytes = 4 * job->inWidth * job->channels;
  for (uint32_t row = rows.first; row < rows.last; ++row) {
    const uint32_t from = rowsOf(job)[row].low;
    float* own = to + row * outRow;
    if (row > rows.first && from == rowsOf(job)[row - 1].low) {
      __builtin_memcpy(own, own - outRow, 4 * outRow);
    } else {
      gatherRow(job, own, image + from * rowBytes);
    }
  }
}

// Computes tasks `first` to `last` (less one) of a resizing.
IM2WIN_EXPORT(im2win_resize)
void im2win_resize(const ResizeJob* job, uint32_t first, uint32_t last) {
  for (uint32_t task = first; task < last; ++task) {
    const Share lines = shareOf(job->lines, 1, task, job->tasks);
    for (uint32_t line = lines.first; line < lines.last;) {
      const uint32_t image = line / job->outHeight;
      const uint32_t row = line - image * job->outHeight;
      const uint32_t count = least(job->outHeight - row, lines.last - line);
      const Share rows = {row, row + count};
      const char* from =
          job->x + 4 * image * job->inHeight * job->inWidth * job->channels;
      float* to = (float*)job->output +
                  image * job->outHeight * job->outWidth * job->channels;
      if (job->interpolates) {
        interpolateImage(job, from, to, rows);
      } else {
        takeNearest(job, from, to, rows);
      }
      line += count;
    }
  }
}
