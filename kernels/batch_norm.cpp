// (x - mean) * (scale / sqrt(variance + epsilon)) + offset, where the
// parameters are the same again after each row. A job is a record
// (batch_norm.def).
//
// The factor is computed for a segment of a row, once for all of a task's rows.
#include "repeat.h"
#include "task.h"

struct BatchNormJob {
#define FIELD(type, name) type name;
#include "batch_norm.def"
#undef FIELD
};

// The most values of a segment; src/batchNorm.ts knows the number, too.
constexpr uint32_t kSegment = 2048;

// A thread's scratch: parameters that do not lie side by side, and the factor.
// Up to a vector is written behind each.
struct Scratch {
  float mean[kSegment + 4];
  float factor[kSegment + 4];
  float offset[kSegment + 4];
  float scale[kSegment + 4];
};

// `count` values of a parameter from `first` on: where they lie, or in `to`.
IM2WIN_NOINLINE const float* valuesFrom(const float* values, uint32_t size,
                                        uint32_t first, uint32_t count,
                                        float* to) {
  uint32_t at = first % size;
  if (at + count <= size) return values + at;
  if (at == 0) {
    repeatRow(to, values, size, count);
  } else {
    for (uint32_t i = 0; i < count; ++i) {
      to[i] = values[at];
      if (++at == size) at = 0;
    }
  }
  return to;
}

struct Segment {
  const float* mean;
  const float* factor;
  const float* offset;
  uint32_t count;
};

// The parameters from value `first` of a row on.
IM2WIN_INLINE Segment segmentFrom(const BatchNormJob* job, uint32_t first,
                                  uint32_t count, Scratch* scratch) {
  const float* offset = job->offset == nullptr ? &job->zero : job->offset;
  const float* scale = job->scale == nullptr ? &job->one : job->scale;
  const float* variance = valuesFrom(job->variance, job->varianceSize, first,
                                     count, scratch->factor);
  scale = valuesFrom(scale, job->scaleSize, first, count, scratch->scale);
  const f32x4 epsilon = splat(job->epsilon);
  for (uint32_t i = 0; i < count; i += 4) {
    const uint32_t lanes = count - i;
    const f32x4 v = wasm_f32x4_add(loadLanes(variance + i, lanes), epsilon);
    storeLanes(scratch->factor + i,
               wasm_f32x4_div(loadLanes(scale + i, lanes), wasm_f32x4_sqrt(v)),
               lanes);
  }
  return {
      valuesFrom(job->mean, job->meanSize, first, count, scratch->mean),
      scratch->factor,
      valuesFrom(offset, job->offsetSize, first, count, scratch->offset),
      count,
  };
}

IM2WIN_INLINE f32x4 normalized(f32x4 x, f32x4 mean, f32x4 factor,
                               f32x4 offset) {
  return mulAdd(wasm_f32x4_sub(x, mean), factor, offset);
}

// `rows` times a segment, `step` values apart.
IM2WIN_NOINLINE void normalizeRows(float* to, const float* x, Segment segment,
                                   uint32_t rows, uint32_t step) {
  const uint32_t count = segment.count;
  for (; rows > 0; --rows, to += step, x += step) {
    uint32_t i = 0;
    for (; i + 16 <= count; i += 16) {
      f32x4 v[4];
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < 4; ++n) {
        const uint32_t at = i + 4 * n;
        v[n] = normalized(load(x + at), load(segment.mean + at),
                          load(segment.factor + at), load(segment.offset + at));
      }
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < 4; ++n) store(to + i + 4 * n, v[n]);
    }
    for (; i < count; i += 4) {
      const uint32_t lanes = count - i;
      storeLanes(to + i,
                 normalized(loadLanes(x + i, lanes),
                            loadLanes(segment.mean + i, lanes),
                            loadLanes(segment.factor + i, lanes),
                            loadLanes(segment.offset + i, lanes)),
                 lanes);
    }
  }
}

// Computes tasks `first` to `last` (less one). Segments are counted down the
// rows, so that a task has few of them.
IM2WIN_EXPORT(im2win_batch_norm)
void im2win_batch_norm(const BatchNormJob* job, uint32_t first, uint32_t last,
                       Scratch* scratch) {
  const uint32_t row = job->row;
  const uint32_t rows = (job->size - 1) / row + 1;
  const uint32_t segments = (row - 1) / kSegment + 1;
  for (uint32_t task = first; task < last; ++task) {
    const Share share = shareOf(rows * segments, 1, task, job->tasks);
    for (uint32_t at = share.first; at < share.last;) {
      const uint32_t column = at / rows * kSegment;
      const uint32_t begin = at % rows;
      const uint32_t end = least(rows, begin + share.last - at);
      const Segment segment =
          segmentFrom(job, column, least(row - column, kSegment), scratch);
      // The last row may be cut off.
      const uint32_t whole = least(end, job->size / row);
      const uint32_t place = begin * row + column;
      if (begin < whole) {
        normalizeRows(job->output + place, job->x + place, segment,
                      whole - begin, row);
      }
      if (whole < end) {
        const uint32_t rest = whole * row + column;
        normalizeRows(job->output + rest, job->x + rest,
                      {segment.mean, segment.factor, segment.offset,
                       job->size - whole * row},
                      1, 0);
      }
      at += end - begin;
    }
  }
}
