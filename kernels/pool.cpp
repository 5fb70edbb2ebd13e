// Pooling: the largest value of each window, or the mean of those inside the
// image, channel by channel, NHWC. A job is a record (pool.def).
//
// Windows that overlap little are read as they are. Where they overlap much,
// the row of a window is reduced first, for each input row once; what these
// come to is kept in a ring of filterHeight rows, in the scratch, from which
// each output row is reduced. A block of channels is as wide as its ring stays
// in the first-level cache.
//
// As in tfjs's cpu backend a NaN is never the largest value, of zeros the first
// counts, and a window that sees nothing of the image is -Infinity, or NaN as a
// mean. So values are taken in the order of rows and columns.
#include "task.h"

struct PoolJob {
#define FIELD(type, name) type name;
#include "pool.def"
#undef FIELD
};

// What is reduced: rows of pixels, steps in floats.
struct Window {
  const float* from;
  uint32_t rows;
  uint32_t columns;
  uint32_t rowStep;
  uint32_t columnStep;
  // In a ring the rows from this one on follow the others at its beginning.
  uint32_t wrapsAt;
  uint32_t ringStep;
};

template <bool AVERAGES, uint32_t N>
IM2WIN_INLINE void takePixel(f32x4* v, const float* at, uint32_t lanes) {
  IM2WIN_UNROLL
  for (uint32_t n = 0; n < N; ++n) {
    const f32x4 value = loadLanes(at + 4 * n, lanes);
    v[n] =
        AVERAGES ? wasm_f32x4_add(v[n], value) : wasm_f32x4_pmax(v[n], value);
  }
}

template <bool AVERAGES, uint32_t N>
IM2WIN_INLINE void reduceVectors(float* to, Window w, float divisor,
                                 uint32_t lanes) {
  f32x4 v[N];
  IM2WIN_UNROLL
  for (uint32_t n = 0; n < N; ++n) {
    v[n] = splat(AVERAGES ? 0 : -__builtin_inff());
  }
  for (uint32_t row = 0; row < w.rows; ++row) {
    if (row == w.wrapsAt) w.from -= w.ringStep;
    const float* at = w.from;
    uint32_t column = w.columns;
    for (; column >= 2; column -= 2) {
      takePixel<AVERAGES, N>(v, at, lanes);
      takePixel<AVERAGES, N>(v, at + w.columnStep, lanes);
      at += 2 * w.columnStep;
    }
    if (column > 0) takePixel<AVERAGES, N>(v, at, lanes);
    w.from += w.rowStep;
  }
  IM2WIN_UNROLL
  for (uint32_t n = 0; n < N; ++n) {
    if (AVERAGES) v[n] = wasm_f32x4_div(v[n], splat(divisor));
    storeLanes(to + 4 * n, v[n], lanes);
  }
}

template <bool AVERAGES>
IM2WIN_SMALL void reduceFew(float* to, Window w, uint32_t channels,
                            float divisor) {
  reduceVectors<AVERAGES, 1>(to, w, divisor, channels);
}

template <bool AVERAGES>
IM2WIN_INLINE void reduceChannels(float* to, Window w, uint32_t channels,
                                  float divisor) {
  uint32_t i = 0;
  // Eight chains of maxima: fewer would wait for each other.
  for (; i + 32 <= channels; i += 32, w.from += 32) {
    reduceVectors<AVERAGES, 8>(to + i, w, divisor, 4);
  }
  for (; i + 16 <= channels; i += 16, w.from += 16) {
    reduceVectors<AVERAGES, 4>(to + i, w, divisor, 4);
  }
  for (; i + 4 <= channels; i += 4, w.from += 4) {
    reduceVectors<AVERAGES, 1>(to + i, w, divisor, 4);
  }
  if (i < channels) reduceFew<AVERAGES>(to + i, w, channels - i, divisor);
}

IM2WIN_NOINLINE void reduceWindow(const PoolJob* job, float* to, Window w,
                                  uint32_t channels, float divisor) {
  if (job->averages) {
    reduceChannels<true>(to, w, channels, divisor);
  } else {
    reduceChannels<false>(to, w, channels, divisor);
  }
}

// Of a window along an axis, what lies inside the image.
struct Span {
  int32_t first;
  int32_t last;
  uint32_t size;
};

IM2WIN_INLINE Span spanOf(int32_t index, int32_t stride, int32_t pad,
                          int32_t filter, int32_t size) {
  const int32_t corner = index * stride - pad;
  const int32_t first = most(0, corner);
  const int32_t last = least(size, corner + filter);
  return {first, last, last > first ? uint32_t(last - first) : 0};
}

IM2WIN_INLINE Span rowsOf(const PoolJob* job, int32_t row) {
  return spanOf(row, job->strideHeight, job->padTop, job->filterHeight,
                job->inHeight);
}

IM2WIN_INLINE Span columnsOf(const PoolJob* job, int32_t column) {
  return spanOf(column, job->strideWidth, job->padLeft, job->filterWidth,
                job->inWidth);
}

// A row of windows of so many rows, from this one on: what they come to, pixels
// so far apart. Neighbours that see as many columns, a column apart, are
// reduced together where they lie together.
IM2WIN_INLINE void reduceRow(const PoolJob* job, float* to, uint32_t toStep,
                             const float* from, uint32_t rows,
                             uint32_t channels, bool divides) {
  const uint32_t step = job->channels;
  const bool joins = job->strideWidth == 1 && channels == step;
  for (int32_t column = 0; column < job->outWidth;) {
    const Span columns = columnsOf(job, column);
    int32_t end = column + 1;
    while (joins && end < job->outWidth &&
           columnsOf(job, end).size == columns.size &&
           columnsOf(job, end).first > columnsOf(job, end - 1).first) {
      ++end;
    }
    uint32_t values = (end - column) * channels;
    // A whole vector, whose last values are those of no window: the next pixels
    // are written over them.
    if (values < 4 && column + 4 <= job->outWidth &&
        columns.last + 3 <= job->inWidth) {
      values = 4;
    }
    reduceWindow(job, to + column * toStep,
                 {from + columns.first * step, rows, columns.size,
                  job->inWidth * step, step, ~0u, 0},
                 values, divides ? rows * columns.size : 1);
    column = end;
  }
}

// The ring's rows in the order of the window's, as output row. Pixels with as
// many columns in the image are reduced together where they lie together.
IM2WIN_INLINE void reduceRing(const PoolJob* job, float* to, const float* ring,
                              Span rows, uint32_t channels) {
  const uint32_t slots = job->filterHeight;
  const uint32_t rowStep = job->outWidth * channels;
  const uint32_t slot = uint32_t(rows.first) % slots;
  const bool joins = channels == job->channels;
  for (int32_t column = 0; column < job->outWidth;) {
    const uint32_t columns = columnsOf(job, column).size;
    int32_t end = column + 1;
    while (joins && end < job->outWidth &&
           columnsOf(job, end).size == columns) {
      ++end;
    }
    reduceWindow(job, to + column * job->channels,
                 {ring + slot * rowStep + column * channels, rows.size, 1,
                  rowStep, 0, slots - slot, slots * rowStep},
                 (end - column) * channels, rows.size * columns);
    column = end;
  }
}

IM2WIN_SMALL void poolLines(const PoolJob* job, uint32_t line, uint32_t last,
                            float* ring) {
  const uint32_t blocks =
      (job->channels + job->channelsPerBlock - 1) / job->channelsPerBlock;
  const uint32_t rowStep = job->inWidth * job->channels;
  // The first input row that is not in the ring.
  int32_t next = 0;
  for (bool begins = true; line < last; ++line) {
    const uint32_t block = line / job->outHeight;
    const int32_t row = line - block * job->outHeight;
    const uint32_t image = block / blocks;
    const uint32_t channel = (block - image * blocks) * job->channelsPerBlock;
    const uint32_t channels =
        least(job->channels - channel, job->channelsPerBlock);
    const float* from = job->x + image * job->inHeight * rowStep + channel;
    float* to = job->output +
                (image * job->outHeight + row) * job->outWidth * job->channels +
                channel;
    const Span rows = rowsOf(job, row);
    if (begins || row == 0) next = rows.first;
    begins = false;
    // The rows in the ring, or all at once.
    int32_t first = job->separable ? most(next, rows.first) : rows.first;
    const int32_t end = job->separable ? rows.last : first + 1;
    for (; first < end; ++first) {
      float* own = to;
      if (job->separable) {
        own = ring +
              uint32_t(first) % job->filterHeight * job->outWidth * channels;
      }
      reduceRow(job, own, job->separable ? channels : job->channels,
                from + first * rowStep, job->separable ? 1 : rows.size,
                channels, !job->separable);
    }
    next = first;
    if (job->separable) reduceRing(job, to, ring, rows, channels);
  }
}

// Computes tasks `first` to `last` (less one) of a pooling. `scratch` has room
// for a ring, if the pooling is separable.
IM2WIN_EXPORT(im2win_pool)
void im2win_pool(const PoolJob* job, uint32_t first, uint32_t last,
                 float* scratch) {
  for (uint32_t task = first; task < last; ++task) {
    const Share lines = shareOf(job->lines, 1, task, job->tasks);
    poolLines(job, lines.first, lines.last, scratch);
  }
}
