// Sums, largest and smallest values over some axes of a tensor, read once where
// it lies. A job is a record (reduce.def).
//
// What is reduced is a matrix, row by row: its columns are outputs. A few rows
// at a time are reduced for all columns, 16 columns in registers, so that each
// cache line is read once; what they come to lies in the scratch meanwhile. A
// matrix of few columns is read as one of 16 times as many, or 4 times, whose
// parts are put together in the end. A single column is a run of values, and
// what several of them come to lies side by side in the scratch. The order of
// the additions follows from the shape alone.
//
// Sums are double precision, but for four values that are added before. Where
// these overflow, the sum is computed once more.
#include "task.h"

// The numbers are shared with src/wasm/reduceJob.ts.
enum Reduction : int32_t { kSum = 0, kMax = 1 };

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

// Where the first row of a line is.
IM2WIN_INLINE const char* lineOf(const ReduceJob* job, uint32_t line) {
  const char* at = job->x;
  if (line >= job->lines0) {
    uint32_t outer = line / job->lines0;
    line -= outer * job->lines0;
    const uint32_t outermost = outer / job->lines1;
    outer -= outermost * job->lines1;
    at = moved(at, outer * job->lineStep1 + outermost * job->lineStep2);
  }
  return moved(at, line * job->lineStep0);
}

IM2WIN_INLINE const char* repeatOf(const ReduceJob* job, const char* line,
                                   uint32_t outer, uint32_t inner) {
  return moved(line, outer * job->repeatStep1 + inner * job->repeatStep0);
}

#define EACH_REPEAT                                        \
  for (uint32_t outer = 0; outer < job->repeats1; ++outer) \
    for (uint32_t inner = 0; inner < job->repeats0; ++inner)

struct FloatSum {
  using Column = double;
  IM2WIN_INLINE State start() {
    return {wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
  }
  IM2WIN_INLINE State step(State s, v128_t v, v128_t) {
    const v128_t high = wasm_i32x4_shuffle(v, v, 2, 3, 2, 3);
    return {wasm_f64x2_add(s.a, wasm_f64x2_promote_low_f32x4(v)),
            wasm_f64x2_add(s.b, wasm_f64x2_promote_low_f32x4(high))};
  }
  IM2WIN_INLINE State step4(State s, const v128_t* v, v128_t flip) {
    return step(
        s,
        wasm_f32x4_add(wasm_f32x4_add(v[0], v[1]), wasm_f32x4_add(v[2], v[3])),
        flip);
  }
  // The first few values, and some that change nothing.
  IM2WIN_INLINE v128_t few(const float* from, uint32_t lanes) {
    return loadLanes(from, lanes);
  }
  IM2WIN_INLINE Column total(State s) {
    const v128_t sum = wasm_f64x2_add(s.a, s.b);
    return wasm_f64x2_extract_lane(sum, 0) + wasm_f64x2_extract_lane(sum, 1);
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
  IM2WIN_INLINE v128_t isOdd(v128_t v) {
    return wasm_v128_not(
        wasm_f32x4_lt(wasm_f32x4_abs(v), splat(__builtin_inff())));
  }
  // The sum without a step that may overflow.
  static IM2WIN_SMALL float slowly(const ReduceJob* job, const char* line) {
    double sum = 0;
    EACH_REPEAT {
      const float* at = (const float*)repeatOf(job, line, outer, inner);
      for (uint32_t row = 0; row < job->rows; ++row, at += job->columns) {
        sum += *at;
      }
    }
    return sum / job->divisor;
  }
};

// NaN if there is one.
struct FloatMax {
  using Column = float;
  IM2WIN_INLINE State start() {
    return {splat(-__builtin_inff()), wasm_i32x4_splat(0)};
  }
  IM2WIN_INLINE v128_t nanIn(v128_t v) { return wasm_f32x4_ne(v, v); }
  IM2WIN_INLINE State step(State s, v128_t v, v128_t flip) {
    v = wasm_v128_xor(v, flip);
    // A NaN is never the larger one, and goes on if it is there before.
    return {wasm_f32x4_pmax(s.a, v), wasm_v128_or(s.b, nanIn(v))};
  }
  IM2WIN_INLINE State step4(State s, const v128_t* v, v128_t flip) {
    const v128_t v0 = wasm_v128_xor(v[0], flip);
    const v128_t v1 = wasm_v128_xor(v[1], flip);
    const v128_t v2 = wasm_v128_xor(v[2], flip);
    const v128_t v3 = wasm_v128_xor(v[3], flip);
    const v128_t nan = wasm_v128_or(wasm_v128_or(nanIn(v0), nanIn(v1)),
                                    wasm_v128_or(nanIn(v2), nanIn(v3)));
    return {wasm_f32x4_pmax(s.a, wasm_f32x4_pmax(wasm_f32x4_pmax(v0, v1),
                                                 wasm_f32x4_pmax(v2, v3))),
            wasm_v128_or(s.b, nan)};
  }
  IM2WIN_INLINE v128_t few(const float* from, uint32_t lanes) {
    v128_t v = wasm_v128_load32_splat(from);
    if (lanes > 1) v = wasm_v128_load32_lane(from + 1, v, 1);
    if (lanes > 2) v = wasm_v128_load32_lane(from + 2, v, 2);
    return v;
  }
  IM2WIN_INLINE Column total(State s) {
    const v128_t v = wasm_v128_or(s.a, s.b);
    return both(
        both(wasm_f32x4_extract_lane(v, 0), wasm_f32x4_extract_lane(v, 1)),
        both(wasm_f32x4_extract_lane(v, 2), wasm_f32x4_extract_lane(v, 3)));
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
  IM2WIN_INLINE v128_t isOdd(v128_t v) { return wasm_f32x4_eq(v, splat(0)); }
  // Of zeros of both signs the first, as in tfjs's loop.
  static IM2WIN_SMALL float slowly(const ReduceJob* job, const char* line) {
    EACH_REPEAT {
      const float* at = (const float*)repeatOf(job, line, outer, inner);
      for (uint32_t row = 0; row < job->rows; ++row, at += job->columns) {
        if (*at == 0) return *at;
      }
    }
    return 0;
  }
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
                                 v128_t flip) {
  State s[N];
  IM2WIN_UNROLL
  for (uint32_t n = 0; n < N; ++n) {
    s[n] = m.first ? Op::start() : Op::load(columns + 4 * n);
  }
  for (; m.rows >= 4; m.rows -= 4) {
    const float* row[4];
    IM2WIN_UNROLL
    for (uint32_t i = 0; i < 4; ++i) {
      row[i] = (const float*)m.from;
      m.from = moved(m.from, m.step);
    }
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < N; ++n) {
      v128_t v[4];
      IM2WIN_UNROLL
      for (uint32_t i = 0; i < 4; ++i) v[i] = load(row[i] + 4 * n);
      s[n] = Op::step4(s[n], v, flip);
    }
  }
  for (; m.rows > 0; --m.rows, m.from = moved(m.from, m.step)) {
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < N; ++n) {
      s[n] = Op::step(s[n], load((const float*)m.from + 4 * n), flip);
    }
  }
  IM2WIN_UNROLL
  for (uint32_t n = 0; n < N; ++n) Op::store(columns + 4 * n, s[n]);
}

// Up to four columns: where there are fewer, others of the scratch are written.
template <typename Op>
IM2WIN_SMALL void reduceFew(typename Op::Column* columns, Rows m,
                            uint32_t width, v128_t flip) {
  State s = m.first ? Op::start() : Op::load(columns);
  for (; m.rows > 0; --m.rows, m.from = moved(m.from, m.step)) {
    s = Op::step(s, loadLanes((const float*)m.from, width), flip);
  }
  Op::store(columns, s);
}

// So many columns of some rows.
template <typename Op>
IM2WIN_NOINLINE void reduceRows(typename Op::Column* columns, Rows m,
                                uint32_t width, uint32_t flip) {
  const v128_t bits = wasm_i32x4_splat(flip);
  uint32_t i = 0;
  for (; i + 16 <= width; i += 16, m.from += 64) {
    reduceVectors<Op, 4>(columns + i, m, bits);
  }
  for (; i < width; i += 4, m.from += 16) {
    reduceFew<Op>(columns + i, m, least(width - i, 4u), bits);
  }
}

// What is read for all columns before the next rows are.
constexpr uint32_t kRowsBytes = 16384;
constexpr uint32_t kFewestRows = 8;

template <typename Op>
IM2WIN_INLINE void reduceMatrix(typename Op::Column* columns, Rows m,
                                uint32_t width, uint32_t flip) {
  const uint32_t fitting = kRowsBytes / m.step & ~3u;
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

// Values side by side.
template <typename Op>
IM2WIN_INLINE State reduceRun(State s, const float* from, uint32_t count,
                              v128_t flip) {
  for (; count >= 16; count -= 16, from += 16) {
    const v128_t v[4] = {load(from), load(from + 4), load(from + 8),
                         load(from + 12)};
    s = Op::step4(s, v, flip);
  }
  for (; count >= 4; count -= 4, from += 4) s = Op::step(s, load(from), flip);
  if (count > 0) s = Op::step(s, Op::few(from, count), flip);
  return s;
}

// Outputs that are in the scratch together.
constexpr uint32_t kColumns = 2048;

// A matrix of fewer columns is read as one of more.
constexpr uint32_t kFewColumns = 16;

// Lines whose matrix is a single column.
template <typename Op>
IM2WIN_SMALL void reduceRuns(const ReduceJob* job, typename Op::Column* columns,
                             uint32_t line, uint32_t count) {
  const v128_t flip = wasm_i32x4_splat(job->flip);
  for (uint32_t i = 0; i < count; ++i) {
    const char* from = lineOf(job, line + i);
    State s = Op::start();
    EACH_REPEAT {
      s = reduceRun<Op>(s, (const float*)repeatOf(job, from, outer, inner),
                        job->rows, flip);
    }
    columns[i] = Op::total(s);
  }
}

// Some columns of a line.
template <typename Op>
IM2WIN_SMALL void reduceColumns(const ReduceJob* job,
                                typename Op::Column* columns, const char* from,
                                uint32_t width) {
  const uint32_t flip = job->flip;
  // Rows that are read as one.
  uint32_t fold = 1;
  if (job->columns < kFewColumns && job->rows >= 4) {
    fold = job->rows >= 64 ? 16 : 4;
  }
  const uint32_t wide = fold * width;
  const uint32_t wideRows = job->rows / fold;
  const uint32_t rest = job->rows - wideRows * fold;
  const uint32_t step = 4 * job->columns;
  bool first = true;
  EACH_REPEAT {
    const char* at = repeatOf(job, from, outer, inner);
    reduceMatrix<Op>(columns, {at, wideRows, fold * step, first}, wide, flip);
    if (rest > 0) {
      reduceRows<Op>(columns + wide,
                     {moved(at, wideRows * fold * step), rest, step, first},
                     width, flip);
    }
    first = false;
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
}

// Writes outputs from number `first` on.
template <typename Op>
IM2WIN_SMALL void finishColumns(const ReduceJob* job,
                                const typename Op::Column* columns,
                                uint32_t first, uint32_t count) {
  float* to = (float*)moved(job->output, 4 * first);
  for (uint32_t i = 0; i < count; i += 4) {
    const v128_t v = Op::finish(job, Op::load(columns + i));
    const uint32_t lanes = least(count - i, 4u);
    storeLanes(to + i, v, lanes);
    if (!wasm_v128_any_true(Op::isOdd(v))) continue;
    for (uint32_t n = i; n < i + lanes; ++n) {
      const v128_t own = splat(to[n]);
      if (!wasm_v128_any_true(Op::isOdd(own))) continue;
      const uint32_t line = (first + n) / job->columns;
      const uint32_t column = first + n - line * job->columns;
      to[n] = Op::slowly(job, moved(lineOf(job, line), 4 * column));
    }
  }
}

// The shares of tasks that follow each other are one share: in each task's own
// columns a matrix would be read some cache lines of a row at a time.
IM2WIN_INLINE Share shareOfAll(uint32_t count, uint32_t step,
                               const ReduceJob* job, Share tasks) {
  return {shareOf(count, step, tasks.first, job->tasks).first,
          shareOf(count, step, tasks.last - 1, job->tasks).last};
}

template <typename Op>
IM2WIN_SMALL void reduceTasks(const ReduceJob* job, Share tasks,
                              void* scratch) {
  auto columns = (typename Op::Column*)scratch;
  const uint32_t width = job->columns;
  const uint32_t lines = job->lines0 * job->lines1 * job->lines2;
  Share own = {0, lines};
  Share share = {0, width};
  if (lines > 1) {
    own = shareOfAll(lines, 1, job, tasks);
  } else {
    share = shareOfAll(width, 16, job, tasks);
  }
  if (width == 1) {
    if (share.first == share.last) return;
    for (uint32_t line = own.first; line < own.last; line += kColumns) {
      const uint32_t count = least(own.last - line, kColumns);
      reduceRuns<Op>(job, columns, line, count);
      finishColumns<Op>(job, columns, line, count);
    }
    return;
  }
  for (uint32_t line = own.first; line < own.last; ++line) {
    for (uint32_t i = share.first; i < share.last; i += kColumns) {
      const uint32_t count = least(share.last - i, kColumns);
      reduceColumns<Op>(job, columns, moved(lineOf(job, line), 4 * i), count);
      finishColumns<Op>(job, columns, line * width + i, count);
    }
  }
}

// Computes tasks `first` to `last` (less one) of a reduction: a task is a share
// of its outputs. `scratch` has room for what the columns of a task come to.
IM2WIN_EXPORT(im2win_reduce)
void im2win_reduce(const ReduceJob* job, uint32_t first, uint32_t last,
                   void* scratch) {
  if (first == last) return;
  if (job->reduction == kSum) {
    reduceTasks<FloatSum>(job, {first, last}, scratch);
  } else {
    reduceTasks<FloatMax>(job, {first, last}, scratch);
  }
}
