// Sums, largest and smallest values over some axes of a tensor, read once where
// it lies. A job is a record (reduce.def).
//
// What is reduced is a matrix, row by row: its columns are outputs. A few rows
// at a time are reduced for all columns, 16 columns in registers, so that each
// cache line is read once; what they come to lies in the scratch meanwhile. A
// matrix of few columns is read as one of 16 times as many, or 4 times, whose
// parts are put together in the end. The order of the additions follows from
// the shape alone.
//
// Sums are double precision: no partial sum overflows, and what is rounded
// before the end is nothing beside the last rounding.
#include "task.h"

// The numbers are shared with src/wasm/reduceJob.ts.
enum Reduction : int32_t { kSum = 0, kMax = 1, kIntSum = 2, kIntMax = 3 };

struct ReduceJob {
#define FIELD(type, name) type name;
#include "reduce.def"
#undef FIELD
};

// What four columns have come to.
struct State {
  v128_t a;
  v128_t b;
};

template <typename T>
IM2WIN_INLINE T* moved(T* at, uint32_t bytes) {
  return (T*)(uintptr_t(at) + bytes);
}

struct FloatSum {
  using Column = double;
  IM2WIN_INLINE State start() {
    return {wasm_i32x4_const_splat(0), wasm_i32x4_const_splat(0)};
  }
  IM2WIN_INLINE State step(State s, v128_t v, v128_t) {
    const v128_t high = wasm_i32x4_shuffle(v, v, 2, 3, 2, 3);
    return {wasm_f64x2_add(s.a, wasm_f64x2_promote_low_f32x4(v)),
            wasm_f64x2_add(s.b, wasm_f64x2_promote_low_f32x4(high))};
  }
  IM2WIN_INLINE State load(const Column* from) {
    return {wasm_v128_load(from), wasm_v128_load(from + 2)};
  }
  IM2WIN_INLINE void store(Column* to, State s) {
    wasm_v128_store(to, s.a);
    wasm_v128_store(to + 2, s.b);
  }
  IM2WIN_INLINE Column both(Column a, Column b) { return a + b; }
  IM2WIN_INLINE v128_t finish(const ReduceJob* job, State s) {
    const v128_t divisor = wasm_f64x2_splat(job->divisor);
    const v128_t low =
        wasm_f32x4_demote_f64x2_zero(wasm_f64x2_div(s.a, divisor));
    const v128_t high =
        wasm_f32x4_demote_f64x2_zero(wasm_f64x2_div(s.b, divisor));
    return wasm_i32x4_shuffle(low, high, 0, 1, 4, 5);
  }
};

// NaN if there is one. Of zeros it is either.
struct FloatMax {
  using Column = float;
  IM2WIN_INLINE State start() {
    return {wasm_f32x4_const_splat(-__builtin_inff()),
            wasm_i32x4_const_splat(0)};
  }
  IM2WIN_INLINE State step(State s, v128_t v, v128_t flip) {
    v = wasm_v128_xor(v, flip);
    // A NaN is never the larger one, and goes on if it is there before.
    return {wasm_f32x4_pmax(s.a, v), wasm_v128_or(s.b, wasm_f32x4_ne(v, v))};
  }
  IM2WIN_INLINE State load(const Column* from) {
    return {wasm_v128_load(from), wasm_i32x4_splat(0)};
  }
  IM2WIN_INLINE void store(Column* to, State s) {
    wasm_v128_store(to, wasm_v128_or(s.a, s.b));
  }
  IM2WIN_INLINE Column both(Column a, Column b) {
    return b > a || b != b ? b : a;
  }
  IM2WIN_INLINE v128_t finish(const ReduceJob* job, State s) {
    const v128_t nan = splat(__builtin_nanf(""));
    return wasm_v128_bitselect(wasm_v128_xor(s.a, wasm_i32x4_splat(job->flip)),
                               nan, wasm_f32x4_eq(s.a, s.a));
  }
};

struct Ints {
  using Column = int32_t;
  IM2WIN_INLINE State load(const Column* from) {
    return {wasm_v128_load(from), wasm_i32x4_splat(0)};
  }
  IM2WIN_INLINE void store(Column* to, State s) { wasm_v128_store(to, s.a); }
  IM2WIN_INLINE v128_t finish(const ReduceJob* job, State s) {
    return wasm_v128_xor(s.a, wasm_i32x4_splat(job->flip));
  }
};

// Modulo 2^32.
struct IntSum : Ints {
  IM2WIN_INLINE State start() {
    return {wasm_i32x4_const_splat(0), wasm_i32x4_const_splat(0)};
  }
  IM2WIN_INLINE State step(State s, v128_t v, v128_t) {
    return {wasm_i32x4_add(s.a, v), s.b};
  }
  IM2WIN_INLINE Column both(Column a, Column b) {
    return uint32_t(a) + uint32_t(b);
  }
};

struct IntMax : Ints {
  IM2WIN_INLINE State start() {
    return {wasm_i32x4_const_splat(-0x7fffffff - 1), wasm_i32x4_const_splat(0)};
  }
  IM2WIN_INLINE State step(State s, v128_t v, v128_t flip) {
    return {wasm_i32x4_max(s.a, wasm_v128_xor(v, flip)), s.b};
  }
  IM2WIN_INLINE Column both(Column a, Column b) { return a > b ? a : b; }
};

// Rows of a matrix.
struct Rows {
  const char* from;
  uint32_t rows;
  // Bytes from one to the next.
  uint32_t step;
  // Whether nothing was reduced into the same columns before.
  bool first;
};

template <typename Op, uint32_t N>
IM2WIN_INLINE void reduceVectors(typename Op::Column* columns, Rows m,
                                 v128_t flip, uint32_t lanes) {
  State s[N];
  IM2WIN_UNROLL
  for (uint32_t n = 0; n < N; ++n) {
    s[n] = m.first ? Op::start() : Op::load(columns + 4 * n);
  }
  for (; m.rows > 0; --m.rows, m.from = moved(m.from, m.step)) {
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < N; ++n) {
      s[n] =
          Op::step(s[n], loadLanes((const float*)m.from + 4 * n, lanes), flip);
    }
  }
  IM2WIN_UNROLL
  for (uint32_t n = 0; n < N; ++n) Op::store(columns + 4 * n, s[n]);
}

// So many columns of some rows. A last vector that is not whole is, in the
// scratch.
template <typename Op>
IM2WIN_NOINLINE void reduceRows(typename Op::Column* columns, Rows m,
                                uint32_t width, uint32_t flip) {
  const v128_t bits = wasm_i32x4_splat(flip);
  for (; width >= 16; width -= 16, columns += 16, m.from += 64) {
    reduceVectors<Op, 4>(columns, m, bits, 4);
  }
  for (; width >= 4; width -= 4, columns += 4, m.from += 16) {
    reduceVectors<Op, 1>(columns, m, bits, 4);
  }
  if (width > 0) reduceVectors<Op, 1>(columns, m, bits, width);
}

// What is read for all columns before the next rows are.
constexpr uint32_t kRowsBytes = 16384;
constexpr uint32_t kFewestRows = 8;

template <typename Op>
IM2WIN_INLINE void reduceMatrix(typename Op::Column* columns, Rows m,
                                uint32_t width, uint32_t flip) {
  const uint32_t fitting = kRowsBytes / m.step;
  uint32_t most = fitting > kFewestRows ? fitting : kFewestRows;
  if (width <= 16) most = m.rows;
  while (m.rows > 0) {
    Rows some = m;
    some.rows = least(m.rows, most);
    reduceRows<Op>(columns, some, width, flip);
    m.rows -= some.rows;
    m.from = moved(m.from, some.rows * m.step);
    m.first = false;
  }
}

// Where the first row of a line is.
IM2WIN_INLINE const char* lineOf(const ReduceJob* job, uint32_t line) {
  const uint32_t outer = line / job->lines0;
  const uint32_t outermost = outer / job->lines1;
  return moved(job->x, (line - outer * job->lines0) * job->lineStep0 +
                           (outer - outermost * job->lines1) * job->lineStep1 +
                           outermost * job->lineStep2);
}

// The first zero of a column, as tfjs's loop keeps it.
IM2WIN_NOINLINE float firstZero(const ReduceJob* job, const char* from) {
  for (uint32_t outer = 0; outer < job->repeats1; ++outer) {
    for (uint32_t i = 0; i < job->repeats0; ++i) {
      const float* at = (const float*)moved(
          from, outer * job->repeatStep1 + i * job->repeatStep0);
      for (uint32_t row = 0; row < job->rows; ++row, at += job->columns) {
        if (*at == 0) return *at;
      }
    }
  }
  return 0;
}

// Columns that are in the scratch together.
constexpr uint32_t kColumns = 2048;

// A matrix of fewer columns is read as one of more.
constexpr uint32_t kFewColumns = 16;

template <typename Op>
IM2WIN_NOINLINE void reduceColumns(const ReduceJob* job,
                                   typename Op::Column* columns, uint32_t line,
                                   uint32_t first, uint32_t width) {
  const uint32_t flip = job->flip;
  // Rows that are read as one.
  uint32_t fold = 1;
  if (job->columns < kFewColumns && job->rows >= 4) {
    fold = job->rows >= 32 ? 16 : 4;
  }
  const uint32_t wide = fold * width;
  const uint32_t wideRows = job->rows / fold;
  const uint32_t rest = job->rows - wideRows * fold;
  const uint32_t step = 4 * job->columns;
  const char* from = moved(lineOf(job, line), 4 * first);
  bool isFirst = true;
  for (uint32_t outer = 0; outer < job->repeats1; ++outer) {
    for (uint32_t i = 0; i < job->repeats0; ++i) {
      const char* at =
          moved(from, outer * job->repeatStep1 + i * job->repeatStep0);
      reduceMatrix<Op>(columns, {at, wideRows, fold * step, isFirst}, wide,
                       flip);
      if (rest > 0) {
        reduceRows<Op>(columns + wide,
                       {moved(at, wideRows * fold * step), rest, step, isFirst},
                       width, flip);
      }
      isFirst = false;
    }
  }
  for (uint32_t half = wide / 2; half >= width; half /= 2) {
    for (uint32_t i = 0; i < half; ++i) {
      columns[i] = Op::both(columns[i], columns[half + i]);
    }
  }
  if (rest > 0) {
    for (uint32_t i = 0; i < width; ++i) {
      columns[i] = Op::both(columns[i], columns[wide + i]);
    }
  }
  float* to = (float*)moved(job->output, 4 * (line * job->columns + first));
  for (uint32_t i = 0; i < width; i += 4) {
    const v128_t v = Op::finish(job, Op::load(columns + i));
    storeLanes(to + i, v, width - i);
  }
  if (job->reduction != kMax) return;
  for (uint32_t i = 0; i < width; ++i) {
    if (to[i] == 0) to[i] = firstZero(job, moved(from, 4 * i));
  }
}

template <typename Op>
IM2WIN_INLINE void reduceTask(const ReduceJob* job, uint32_t task,
                              void* scratch) {
  const uint32_t lines = job->lines0 * job->lines1 * job->lines2;
  Share own = {0, lines};
  Share columns = {0, job->columns};
  if (lines > 1) {
    own = shareOf(lines, 1, task, job->tasks);
  } else {
    columns = shareOf(job->columns, 16, task, job->tasks);
  }
  for (uint32_t line = own.first; line < own.last; ++line) {
    for (uint32_t i = columns.first; i < columns.last; i += kColumns) {
      reduceColumns<Op>(job, (typename Op::Column*)scratch, line, i,
                        least(columns.last - i, kColumns));
    }
  }
}

// Computes tasks `first` to `last` (less one) of a reduction: a task is a share
// of its outputs. `scratch` has room for what the columns of a task come to.
IM2WIN_EXPORT(im2win_reduce)
void im2win_reduce(const ReduceJob* job, uint32_t first, uint32_t last,
                   void* scratch) {
  for (uint32_t task = first; task < last; ++task) {
    switch (job->reduction) {
      case kSum:
        reduceTask<FloatSum>(job, task, scratch);
        break;
      case kMax:
        reduceTask<FloatMax>(job, task, scratch);
        break;
      case kIntSum:
        reduceTask<IntSum>(job, task, scratch);
        break;
      default:
        reduceTask<IntMax>(job, task, scratch);
    }
  }
}
