// Images in another size, NHWC. A job is a record (resize.def).
//
// A row between two others is interpolated along the width first. Two output
// rows are computed together if they lie between the same two of the image, or
// if the first one lies on the upper of these.
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

// Output rows between two of the image, of which the first may lie on `low`.
template <int R>
struct Between {
  const char* low;
  const char* high;
  f32x4 fraction[R];
  float* to;
};

// What a value lies between, and where it goes.
struct Corners {
  const float* topLeft;
  const float* topRight;
  const float* bottomLeft;
  const float* bottomRight;
  float* to;
};

IM2WIN_INLINE void advance(Corners& at, int values) {
  at.topLeft += values, at.topRight += values;
  at.bottomLeft += values, at.bottomRight += values;
  at.to += values;
}

template <int R>
IM2WIN_INLINE Corners cornersOf(const Between<R>& rows, const Sample& column) {
  return {valueAt(rows.low, column.low), valueAt(rows.low, column.high),
          valueAt(rows.high, column.low), valueAt(rows.high, column.high),
          rows.to};
}

// A vector of a pixel of each row, or a single value: along the width first.
template <int R, bool onRow, bool whole>
IM2WIN_INLINE void interpolate(const Between<R>& rows, uint32_t toStep,
                               const Corners& at, f32x4 fraction, int i) {
  const auto value = [i](const float* from) __attribute__((always_inline)) {
    return whole ? load(from + i) : wasm_v128_load32_zero(from + i);
  };
  const f32x4 low = between(value(at.topLeft), value(at.topRight), fraction);
  const f32x4 high = R == 1 && onRow ? low
                                     : between(value(at.bottomLeft),
                                               value(at.bottomRight), fraction);
  IM2WIN_UNROLL
  for (int r = 0; r < R; ++r) {
    const f32x4 v =
        between(low, r == 0 && onRow ? low : high, rows.fraction[r]);
    float* to = at.to + r * toStep + i;
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
    Corners corners = cornersOf(own, *at);
    for (uint32_t i = 0; i < job->channels; ++i, advance(corners, 1)) {
      interpolate<1, false, false>(own, 0, corners, splat(at->fraction), 0);
    }
  }
}

// Values at a time, at constant offsets from pointers: clang would count an
// index up instead, and V8 add it to each of them.
constexpr int kStep = 8;

template <int R, bool onRow>
IM2WIN_NOINLINE void interpolateRows(const ResizeJob* job, Between<R> rows) {
  const int channels = job->channels;
  const uint32_t toStep = job->outWidth * channels;
  const Sample* column = columnsOf(job);
  const Sample* const end = column + wholeColumns(job);
  for (; column < end; ++column, rows.to += channels) {
    const f32x4 fraction = splat(column->fraction);
    Corners at = cornersOf(rows, *column);
    int left = channels;
    for (; left >= kStep; left -= kStep, advance(at, kStep)) {
      pin(at.topLeft), pin(at.topRight), pin(at.bottomLeft),
          pin(at.bottomRight);
      pin(at.to);
      IM2WIN_UNROLL
      for (int i = 0; i < kStep; i += 4) {
        interpolate<R, onRow, true>(rows, toStep, at, fraction, i);
      }
    }
    for (; left >= 4; left -= 4, advance(at, 4)) {
      interpolate<R, onRow, true>(rows, toStep, at, fraction, 0);
    }
    if (left == 0) continue;
    // Of a few channels, or some values are computed once more.
    if (channels > 4) advance(at, left - 4);
    interpolate<R, onRow, true>(rows, toStep, at, fraction, 0);
  }
}

// Output rows of one image.
IM2WIN_SMALL void interpolateImage(const ResizeJob* job, const char* image,
                                   float* to, Share rows) {
  const uint32_t outRow = job->outWidth * job->channels;
  const uint32_t rowBytes = 4 * job->inWidth * job->channels;
  for (uint32_t row = rows.first; row < rows.last;) {
    const Sample* down = rowsOf(job) + row;
    const bool onRow = down->low == down->high;
    const bool two = row + 1 < rows.last && down[1].low == down->low &&
                     (onRow || down[1].high == down->high);
    const uint32_t high = down[two].high;
    const Between<2> both = {image + down->low * rowBytes,
                             image + high * rowBytes,
                             {splat(down->fraction), splat(down[two].fraction)},
                             to + row * outRow};
    const Between<1> one = {both.low, both.high, {both.fraction[0]}, both.to};
    if (two && onRow) {
      interpolateRows<2, true>(job, both);
    } else if (two) {
      interpolateRows<2, false>(job, both);
    } else if (onRow) {
      interpolateRows<1, true>(job, one);
    } else {
      interpolateRows<1, false>(job, one);
    }
    for (uint32_t end = row + 1 + two; row < end; ++row) {
      const Sample& own = rowsOf(job)[row];
      interpolateEnd(job, {image + own.low * rowBytes,
                           image + own.high * rowBytes,
                           {splat(own.fraction)},
                           to + row * outRow});
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
