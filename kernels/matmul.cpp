// Matrix products: c = a * b for each batch, then bias and activation. Many
// rows are multiplied by the tile of the convolutions: a row is a window, the
// columns of b are packed in panels. Few rows are multiplied by b where it
// lies.
#include "gemm.h"
#include "gemv.h"

struct MatMulJob {
#define FIELD(type, name) type name;
#include "matmul.def"
#undef FIELD
};

// Where a batch begins, in floats.
struct Batch {
  uint32_t a, b, bias, slope;
};

IM2WIN_NOINLINE Batch batchAt(const MatMulJob* job, uint32_t number) {
  Batch batch = {0, 0, 0, 0};
#define DIMENSION(n)                                      \
  if (number > 0) {                                       \
    const uint32_t outer = number / job->size##n;         \
    const uint32_t index = number - outer * job->size##n; \
    batch.a += index * job->a##n;                         \
    batch.b += index * job->b##n;                         \
    batch.bias += index * job->bias##n;                   \
    batch.slope += index * job->slope##n;                 \
    number = outer;                                       \
  }
  DIMENSION(0)
  DIMENSION(1)
  DIMENSION(2)
  DIMENSION(3)
#undef DIMENSION
  return batch;
}

// Rows of c, and columns.
struct Part {
  Share rows;
  Share columns;
};

IM2WIN_INLINE Share shareAt(uint32_t task, uint32_t step, uint32_t count) {
  return {task * step, least((task + 1) * step, count)};
}

// Describes a part of c to the tile, or to the epilogue: rows are pixels of one
// output row, columns are channels.
IM2WIN_INLINE void describe(ConvCall* call, const MatMulJob* job,
                            const Batch& batch, const Part& part) {
  const uint32_t row = part.rows.first;
  const uint32_t column = part.columns.first;
  call->segmentLength = job->depth;
  call->segments = 1;
  call->segmentStride = job->depth;
  call->outChannels = part.columns.last - column;
  call->rowLength = part.rows.last - row;
  call->windowStride = job->depth;
  call->windowRowStride = 0;
  call->outPixelStride = job->columns;
  call->outRowStride = 0;
  call->tall = job->tall;
  call->activation = job->activation;
  call->low = job->low;
  call->high = job->high;
  call->bias = {nullptr, 0, 0, 0};
  call->slope = {nullptr, 0, 0, 0};
  call->residual = {nullptr, 0, 0, 0};
  call->residualAfterActivation = 0;
  if (job->bias) {
    const float* data =
        job->bias + batch.bias + row * job->biasRow + column * job->biasColumn;
    call->bias = {data, 0, job->biasRow, job->biasColumn};
  }
  if (job->slope) {
    const float* data = job->slope + batch.slope + row * job->slopeRow +
                        column * job->slopeColumn;
    call->slope = {data, 0, job->slopeRow, job->slopeColumn};
  }
  writeFinal(call);
}

IM2WIN_INLINE float* placeOf(const MatMulJob* job, uint32_t batch,
                             const Part& part) {
  return job->output + (batch * job->rows + part.rows.first) * job->columns +
         part.columns.first;
}

// The rows of a slice that are gathered, of each batch.
IM2WIN_INLINE Share gatheredRows(const MatMulJob* job) {
  const uint32_t step = job->rowsPerTask;
  return {job->firstRowTask * step,
          least((job->firstRowTask + job->rowTasks) * step, job->rows)};
}

// Rows at a time: each is a place that is written to.
constexpr uint32_t kRowsTurned = 8;

// Writes columns [first, last) of a, [depth, ...] with `stride` floats from row
// to row, as rows of their own.
IM2WIN_NOINLINE void turnAround(float* to, const float* a, uint32_t stride,
                                uint32_t depth, Share rows) {
  for (uint32_t row = rows.first; row < rows.last; row += kRowsTurned) {
    const uint32_t end = least(row + kRowsTurned, rows.last);
    uint32_t k = 0;
    for (; k + 4 <= depth; k += 4) {
      for (uint32_t i = row; i < end; i += 4) {
        const uint32_t lanes = end - i;
        f32x4 v[4];
        IM2WIN_UNROLL for (int u = 0; u < 4; ++u) {
          v[u] = loadLanes(a + (k + u) * stride + i, lanes);
        }
        transpose(v);
        float* out = to + (i - rows.first) * depth + k;
        IM2WIN_UNROLL for (uint32_t u = 0; u < 4; ++u) {
          if (u < lanes) store(out + u * depth, v[u]);
        }
      }
    }
    for (; k < depth; ++k) {
      for (uint32_t i = row; i < end; ++i) {
        to[(i - rows.first) * depth + k] = a[k * stride + i];
      }
    }
  }
}

// Gathers the rows of a slice, where a lies column by column: tasks along the
// rows of each batch.
IM2WIN_EXPORT(im2win_matmul_rows)
void im2win_matmul_rows(const MatMulJob* job, uint32_t first, uint32_t last) {
  const Share all = gatheredRows(job);
  for (uint32_t task = first; task < last; ++task) {
    const uint32_t batch = task / job->rowTasks;
    const Share rows = shareAt(job->firstRowTask + task - batch * job->rowTasks,
                               job->rowsPerTask, job->rows);
    float* to =
        job->gathered +
        (batch * (all.last - all.first) + rows.first - all.first) * job->depth;
    turnAround(to, job->a + batchAt(job, job->firstBatch + batch).a,
               job->aDepth, job->depth, rows);
  }
}

// Panels that are packed at a time: together they read whole cache lines.
constexpr uint32_t kPanelsPacked = 4;

// Packs columns of b, which lies row by row, in panels.
IM2WIN_INLINE void packRows(float* to, const float* b, uint32_t stride,
                            uint32_t depth, uint32_t columns) {
  const uint32_t panelFloats = depth * kNR;
  for (uint32_t k = 0; k < depth; ++k) {
    float* panel = to;
    uint32_t n = 0;
    for (; n + kNR <= columns; n += kNR) {
      IM2WIN_UNROLL for (uint32_t v = 0; v < kNR; v += 4) {
        store(panel + v, load(b + n + v));
      }
      panel += panelFloats;
    }
    if (n < columns) {
      for (uint32_t i = 0; i < kNR; ++i) {
        panel[i] = n + i < columns ? b[n + i] : 0.0f;
      }
    }
    to += kNR;
    b += stride;
  }
}

// Packs columns of b, which lies column by column, in a panel.
IM2WIN_INLINE void packColumns(float* panel, const float* b, uint32_t stride,
                               uint32_t depth, uint32_t columns) {
  uint32_t k = 0;
  for (; k + 4 <= depth; k += 4) {
    IM2WIN_UNROLL for (uint32_t n = 0; n < kNR; n += 4) {
      f32x4 v[4];
      IM2WIN_UNROLL for (uint32_t i = 0; i < 4; ++i) {
        v[i] = n + i < columns ? load(b + (n + i) * stride + k) : splat(0.0f);
      }
      transpose(v);
      IM2WIN_UNROLL for (uint32_t i = 0; i < 4; ++i) {
        store(panel + (k + i) * kNR + n, v[i]);
      }
    }
  }
  for (; k < depth; ++k) {
    for (uint32_t n = 0; n < kNR; ++n) {
      panel[k * kNR + n] = n < columns ? b[n * stride + k] : 0.0f;
    }
  }
}

// Packs the panels of a slice: tasks of kPanelsPacked panels of each batch, or
// of the first where all share them.
IM2WIN_EXPORT(im2win_matmul_pack)
void im2win_matmul_pack(const MatMulJob* job, uint32_t first, uint32_t last) {
  const uint32_t begin = job->firstColumnTask * job->columnsPerTask;
  const uint32_t end =
      least((job->firstColumnTask + job->columnTasks) * job->columnsPerTask,
            job->columns);
  constexpr uint32_t kStep = kPanelsPacked * kNR;
  const uint32_t perBatch = (end - begin + kStep - 1) / kStep;
  const uint32_t depth = job->depth;
  for (uint32_t task = first; task < last; ++task) {
    const uint32_t batch = task / perBatch;
    const uint32_t column = begin + (task - batch * perBatch) * kStep;
    const uint32_t stop = least(column + kStep, end);
    const float* b = job->b + batchAt(job, job->firstBatch + batch).b;
    float* to =
        job->panels + batch * job->batchPanels + (column - begin) * depth;
    if (job->bColumn == 1) {
      packRows(to, b + column, job->bDepth, depth, stop - column);
    } else {
      for (uint32_t n = column; n < stop; n += kNR) {
        packColumns(to, b + n * job->bColumn, job->bColumn, depth, stop - n);
        to += kNR * depth;
      }
    }
  }
}

// Multiplies tasks `first` to `last` (less one) of a slice: of each batch,
// shares of its rows, and of each of them shares of the columns. `at` is a
// scratch of the thread's own, of one call descriptor.
IM2WIN_EXPORT(im2win_gemm)
void im2win_gemm(const MatMulJob* job, uint32_t first, uint32_t last,
                 char* at) {
  ConvCall* call = reinterpret_cast<ConvCall*>(at);
  const Share all = gatheredRows(job);
  for (uint32_t task = first; task < last; ++task) {
    const uint32_t share = task / job->columnTasks;
    const uint32_t own = share / job->rowTasks;
    const uint32_t rowTask = share - own * job->rowTasks;
    const uint32_t columnTask = task - share * job->columnTasks;
    const uint32_t number = job->firstBatch + own;
    const Batch batch = batchAt(job, number);
    const Part part = {
        shareAt(job->firstRowTask + rowTask, job->rowsPerTask, job->rows),
        shareAt(job->firstColumnTask + columnTask, job->columnsPerTask,
                job->columns)};
    describe(call, job, batch, part);
    call->panels = job->panels + own * job->batchPanels +
                   columnTask * job->columnsPerTask * job->depth;
    const float* rows = job->gathered
                            ? job->gathered + (own * (all.last - all.first) +
                                               part.rows.first - all.first) *
                                                  job->depth
                            : job->a + batch.a + part.rows.first * job->depth;
    gemm(call, rows, placeOf(job, number, part), 1);
  }
}

// Multiplies tasks of a slice whose batches have few rows: shares of the
// columns of each. Those that follow each other are computed together, along
// rows of b that are as long as may be; a value's sum does not depend on that.
IM2WIN_EXPORT(im2win_gemv)
void im2win_gemv(const MatMulJob* job, uint32_t first, uint32_t last,
                 char* at) {
  ConvCall* call = reinterpret_cast<ConvCall*>(at);
  while (first < last) {
    const uint32_t own = first / job->columnTasks;
    const uint32_t number = job->firstBatch + own;
    const uint32_t from = first - own * job->columnTasks;
    const uint32_t to = least(job->columnTasks, from + last - first);
    first += to - from;
    const Batch batch = batchAt(job, number);
    const Part part = {{0, job->rows},
                       {from * job->columnsPerTask,
                        least(to * job->columnsPerTask, job->columns)}};
    describe(call, job, batch, part);
    FewRows few;
    few.a = job->a + batch.a;
    few.aRow = job->aRow;
    few.aDepth = job->aDepth;
    if (job->gathered) {
      few.a = job->gathered + own * job->rows * job->depth;
      few.aRow = job->depth;
      few.aDepth = 1;
    }
    const bool byColumns = job->bColumn != 1;
    few.b = job->b + batch.b + part.columns.first * job->bColumn;
    few.bStride = byColumns ? job->bColumn : job->bDepth;
    few.c = placeOf(job, number, part);
    few.cRow = job->columns;
    few.rows = job->rows;
    few.depth = job->depth;
    few.columns = part.columns.last - part.columns.first;
    few.values = call->scratch.sums;
    gemv(call, few, byColumns);
  }
}
