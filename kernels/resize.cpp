// Images in another size, NHWC. A job is a record (resize.def).
//
// A row between two others is interpolated along the width first, for each of
// the two rows once: they stay in the scratch, as many columns as fit in the
// first-level cache, and the next output row often lies between the same.
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

// One pixel between two others.
IM2WIN_INLINE void interpolatePixel(float* to, const float* low,
                                    const float* high, f32x4 fraction,
                                    uint32_t channels) {
  uint32_t i = 0;
  for (; i + 16 <= channels; i += 16) {
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < 16; n += 4) {
      store(to + i + n,
            between(load(low + i + n), load(high + i + n), fraction));
    }
  }
  for (; i + 4 <= channels; i += 4) {
    store(to + i, between(load(low + i), load(high + i), fraction));
  }
  if (i == channels) return;
  // Some of these are written once more.
  i = channels - 4;
  store(to + i, between(load(low + i), load(high + i), fraction));
}

// Pixels of a row, each between two of the image's. The last one may be written
// with up to three floats behind it.
IM2WIN_NOINLINE void interpolateRow(float* to, const char* row,
                                    const Sample* column, uint32_t columns,
                                    uint32_t channels) {
  for (const Sample* end = column + columns; column < end; ++column) {
    const float* low = valueAt(row, column->low);
    const float* high = valueAt(row, column->high);
    const f32x4 fraction = splat(column->fraction);
    if (channels < 4) {
      store(to, between(loadLanes(low, channels), loadLanes(high, channels),
                        fraction));
    } else {
      interpolatePixel(to, low, high, fraction, channels);
    }
    to += channels;
  }
}

// Values between two rows.
IM2WIN_NOINLINE void interpolateRows(float* to, const float* low,
                                     const float* high, float fraction,
                                     uint32_t count) {
  const f32x4 f = splat(fraction);
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    IM2WIN_UNROLL
    for (uint32_t n = i; n < i + 16; n += 4) {
      store(to + n, between(load(low + n), load(high + n), f));
    }
  }
  for (; i < count; i += 4) {
    // The scratch has room behind.
    storeLanes(to + i, between(load(low + i), load(high + i), f), count - i);
  }
}

// A row of the image in the scratch, or none.
struct Kept {
  float* at;
  uint32_t row;
};

// Output rows of one image, from one column on.
IM2WIN_INLINE void interpolateBlock(const ResizeJob* job, const char* image,
                                    float* to, Share rows, uint32_t column,
                                    float* scratch) {
  const uint32_t channels = job->channels;
  const uint32_t columns = least(job->outWidth - column, job->columnsPerBlock);
  const uint32_t rowBytes = 4 * job->inWidth * channels;
  const Sample* across = columnsOf(job) + column;
  Kept low = {scratch, ~0u};
  Kept high = {scratch + job->columnsPerBlock * channels + 4, ~0u};
  for (uint32_t row = rows.first; row < rows.last; ++row) {
    const Sample down = rowsOf(job)[row];
    if (low.row != down.low) {
      const Kept other = low;
      low = high;
      high = other;
    }
    if (low.row != down.low) {
      low.row = down.low;
      interpolateRow(low.at, image + low.row * rowBytes, across, columns,
                     channels);
    }
    if (down.high != down.low && high.row != down.high) {
      high.row = down.high;
      interpolateRow(high.at, image + high.row * rowBytes, across, columns,
                     channels);
    }
    interpolateRows(to + (row * job->outWidth + column) * channels, low.at,
                    down.high == down.low ? low.at : high.at, down.fraction,
                    columns * channels);
  }
}

IM2WIN_SMALL void interpolate(const ResizeJob* job, const char* image,
                              float* to, Share rows, float* scratch) {
  for (uint32_t column = 0; column < job->outWidth;
       column += job->columnsPerBlock) {
    interpolateBlock(job, image, to, rows, column, scratch);
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

// Computes tasks `first` to `last` (less one) of a resizing. `scratch` has room
// for two blocks of a row, and four floats behind each, where it interpolates.
IM2WIN_EXPORT(im2win_resize)
void im2win_resize(const ResizeJob* job, uint32_t first, uint32_t last,
                   float* scratch) {
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
        interpolate(job, from, to, rows, scratch);
      } else {
        takeNearest(job, from, to, rows);
      }
      line += count;
    }
  }
}
