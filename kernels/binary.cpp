// Two operands, value by value, with broadcasting. A job is a record
// (binary.def). What is written shares no byte with what is read.
#include "repeat.h"
#include "task.h"

// The numbers are shared with src/wasm/binaryJob.ts. An op whose operands have
// changed their places is another one.
enum Op : int32_t {
  kAdd = 0,
  kSub = 1,
  kSubFrom = 2,  // b - a
  kMul = 3,
  kDiv = 4,
  kDivInto = 5,  // b / a
  kMax = 6,
  kMin = 7,
  kSquaredDifference = 8,
  kPrelu = 9,     // a is x, and b its slope.
  kPreluBy = 10,  // The other way round.
  // From here on an output is a byte.
  kEqual = 11,
  kNotEqual = 12,
  kLess = 13,
  kLessEqual = 14,
  kGreater = 15,
  kGreaterEqual = 16,
};

// How rows are computed; the numbers are shared with src/wasm/binaryJob.ts.
enum Form : int32_t {
  // Each where it lies.
  kRows = 0,
  // Short rows one after the other in `a`, each with the same values of b:
  // these are repeated in the scratch, and many rows are one.
  kRepeat = 1,
  // Short rows of any kind: both operands are laid out in the scratch, unless
  // `a`
  // lies as the output does.
  kExpand = 2,
};

struct BinaryJob {
#define FIELD(type, name) type name;
#include "binary.def"
#undef FIELD
};

// What is computed at a time. No row is shorter: few values are computed in the
// scratch.
constexpr uint32_t kBlock = 16;
// The most values of an operand that the scratch holds.
constexpr uint32_t kPattern = 1024;

// A thread's scratch. Vectors may be written up to a block behind a pattern.
struct Scratch {
  float a[kPattern + kBlock];
  float b[kPattern + kBlock];
  float output[kBlock];
};

struct Rows {
  char* to;
  const float* a;
  const float* b;
  uint32_t rows;
  uint32_t run;
  // From one row to the next, in bytes.
  uint32_t aStep;
  uint32_t bStep;
  // Whether b has one value for a row.
  bool scalar;
};

template <Op op>
IM2WIN_INLINE f32x4 valueOf(f32x4 a, f32x4 b) {
  switch (op) {
    case kAdd:
      return wasm_f32x4_add(a, b);
    case kSub:
      return wasm_f32x4_sub(a, b);
    case kSubFrom:
      return wasm_f32x4_sub(b, a);
    case kMul:
      return wasm_f32x4_mul(a, b);
    case kDiv:
      return wasm_f32x4_div(a, b);
    case kDivInto:
      return wasm_f32x4_div(b, a);
    case kMax:
      return wasm_f32x4_max(a, b);
    case kMin:
      return wasm_f32x4_min(a, b);
    case kSquaredDifference: {
      const f32x4 difference = wasm_f32x4_sub(a, b);
      return wasm_f32x4_mul(difference, difference);
    }
    case kPrelu:
      return wasm_v128_bitselect(wasm_f32x4_mul(a, b), a,
                                 wasm_f32x4_lt(a, splat(0)));
    case kPreluBy:
      return valueOf<kPrelu>(b, a);
    case kEqual:
      return wasm_f32x4_eq(a, b);
    case kNotEqual:
      return wasm_f32x4_ne(a, b);
    case kLess:
      return wasm_f32x4_lt(a, b);
    case kLessEqual:
      return wasm_f32x4_le(a, b);
    case kGreater:
      return wasm_f32x4_gt(a, b);
    case kGreaterEqual:
      return wasm_f32x4_ge(a, b);
  }
}

// Of an output.
constexpr uint32_t outputBytes(int32_t op) { return op < kEqual ? 4 : 1; }

template <Op op>
IM2WIN_INLINE void storeBlock(char* to, const f32x4* v) {
  if (outputBytes(op) == 4) {
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < 4; ++n) store((float*)to + 4 * n, v[n]);
  } else {
    const v128_t bytes =
        wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(v[0], v[1]),
                                wasm_i16x8_narrow_i32x4(v[2], v[3]));
    wasm_v128_store(to, wasm_v128_and(bytes, wasm_i8x16_splat(1)));
  }
}

// A row of a block and more. The last block may be one with the values before
// it.
template <Op op, bool scalar>
IM2WIN_INLINE void computeRow(char* to, const float* a, const float* b,
                              uint32_t run) {
  const f32x4 one = loadSplat(b);
  const uint32_t last = run - kBlock;
  for (uint32_t i = 0;;) {
    f32x4 v[4];
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < 4; ++n) {
      const uint32_t at = i + 4 * n;
      v[n] = valueOf<op>(load(a + at), scalar ? one : load(b + at));
    }
    storeBlock<op>(to + i * outputBytes(op), v);
    if (i >= last) break;
    i = least(i + kBlock, last);
  }
}

template <Op op>
IM2WIN_NOINLINE void computeRows(Rows own) {
  for (; own.rows > 0; --own.rows) {
    if (own.scalar) {
      computeRow<op, true>(own.to, own.a, own.b, own.run);
    } else {
      computeRow<op, false>(own.to, own.a, own.b, own.run);
    }
    own.to += own.run * outputBytes(op);
    own.a = moved(own.a, own.aStep);
    own.b = moved(own.b, own.bStep);
  }
}

IM2WIN_INLINE void computeRows(int32_t op, Rows rows) {
  switch (op) {
#define OP(name) \
  case name:     \
    return computeRows<name>(rows);
    OP(kAdd)
    OP(kSub)
    OP(kSubFrom)
    OP(kMul)
    OP(kDiv)
    OP(kDivInto)
    OP(kMax)
    OP(kMin)
    OP(kSquaredDifference)
    OP(kPrelu)
    OP(kPreluBy)
    OP(kEqual)
    OP(kNotEqual)
    OP(kLess)
    OP(kLessEqual)
    OP(kGreater)
    OP(kGreaterEqual)
#undef OP
  }
}

IM2WIN_NOINLINE void compute(int32_t op, Rows rows, Scratch* scratch) {
  if (rows.run >= kBlock) return computeRows(op, rows);
  // It is one row. Its values may be in the scratch already.
  layOut(scratch->a, rows.a, rows.run, false);
  layOut(scratch->b, rows.b, rows.run, rows.scalar);
  char* output = (char*)scratch->output;
  computeRows(op, {output, scratch->a, scratch->b, 1, kBlock, 0, 0, false});
  const uint32_t bytes = rows.run * outputBytes(op);
  for (uint32_t i = 0; i < bytes; ++i) rows.to[i] = output[i];
}

// Where both operands of a row lie.
struct Place {
  const float* a;
  const float* b;
};

// The place of number `lines` of all dimensions but the innermost one.
IM2WIN_INLINE Place placeOf(const BinaryJob* job, uint32_t lines) {
  Place place = {job->a, job->b};
#define DIMENSION(n)                                     \
  if (lines > 0) {                                       \
    const uint32_t outer = lines / job->size##n;         \
    const uint32_t index = lines - outer * job->size##n; \
    place.a = moved(place.a, index * job->a##n);         \
    place.b = moved(place.b, index * job->b##n);         \
    lines = outer;                                       \
  }
  DIMENSION(1)
  DIMENSION(2)
  DIMENSION(3)
  DIMENSION(4)
#undef DIMENSION
  return place;
}

// From segment `at` on: a part of a row, or whole rows.
IM2WIN_INLINE uint32_t rowsAt(const BinaryJob* job, Scratch* scratch,
                              uint32_t at, uint32_t last) {
  const uint32_t segments = (job->run - 1) / job->segment + 1;
  const uint32_t row = at / segments;
  const uint32_t lines = row / job->size0;
  const uint32_t index = row - lines * job->size0;
  const uint32_t first = (at - row * segments) * job->segment;
  const uint32_t rows = segments > 1 ? 1 : least(job->size0 - index, last - at);
  const Place place = placeOf(job, lines);
  const bool scalar = job->scalar != 0;
  compute(job->op,
          {job->output + (row * job->run + first) * outputBytes(job->op),
           moved(place.a, index * job->a0) + first,
           moved(place.b, index * job->b0) + (scalar ? 0 : first), rows,
           least(job->run - first, job->segment), job->a0, job->b0, scalar},
          scratch);
  return rows;
}

// From row `row` on: what is left of the rows that share a pattern.
IM2WIN_INLINE uint32_t repeatAt(const BinaryJob* job, Scratch* scratch,
                                uint32_t row, uint32_t last) {
  const uint32_t lines = row / job->size0;
  const uint32_t index = row - lines * job->size0;
  const uint32_t rows = least(job->size0 - index, last - row);
  const uint32_t patternRows = least(rows, job->patternRows);
  const uint32_t run = patternRows * job->run;
  const Place place = placeOf(job, lines);
  repeatRow(scratch->b, place.b, job->run, run);
  const uint32_t patterns = rows / patternRows;
  const uint32_t whole = patterns * patternRows;
  char* to = job->output + row * job->run * outputBytes(job->op);
  const float* a = moved(place.a, index * job->a0);
  compute(job->op, {to, a, scratch->b, patterns, run, run * 4, 0, false},
          scratch);
  if (whole < rows) {
    compute(job->op,
            {to + whole * job->run * outputBytes(job->op), a + whole * job->run,
             scratch->b, 1, (rows - whole) * job->run, 0, 0, false},
            scratch);
  }
  return rows;
}

// Rows of an operand one after the other. The last vector of each is written
// over by the next one.
IM2WIN_NOINLINE void layOutRows(float* to, const float* from, uint32_t rows,
                                uint32_t run, uint32_t step, bool scalar) {
  if (scalar && run <= 4) {
    for (; rows > 0; --rows, to += run, from = moved(from, step)) {
      store(to, loadSplat(from));
    }
  }
  for (; rows > 0; --rows, to += run, from = moved(from, step)) {
    layOut(to, from, run, scalar);
  }
}

// From row `row` on: as many rows as the scratch has room for.
IM2WIN_INLINE uint32_t expandAt(const BinaryJob* job, Scratch* scratch,
                                uint32_t row, uint32_t last) {
  const uint32_t run = job->run;
  const uint32_t rows = least(job->patternRows, last - row);
  const uint32_t end = row + rows;
  for (uint32_t at = row; at < end;) {
    const uint32_t lines = at / job->size0;
    const uint32_t index = at - lines * job->size0;
    const uint32_t next = least(job->size0 - index, end - at);
    const Place place = placeOf(job, lines);
    const uint32_t offset = (at - row) * run;
    if (job->whole == 0) {
      layOutRows(scratch->a + offset, moved(place.a, index * job->a0), next,
                 run, job->a0, false);
    }
    layOutRows(scratch->b + offset, moved(place.b, index * job->b0), next, run,
               job->b0, job->scalar != 0);
    at += next;
  }
  compute(job->op,
          {job->output + row * run * outputBytes(job->op),
           job->whole == 0 ? scratch->a : job->a + row * run, scratch->b, 1,
           rows * run, 0, 0, false},
          scratch);
  return rows;
}

// Computes tasks `first` to `last` (less one), each a share of the rows, or of
// their segments.
IM2WIN_EXPORT(im2win_binary)
void im2win_binary(const BinaryJob* job, uint32_t first, uint32_t last,
                   Scratch* scratch) {
  const uint32_t segments = (job->run - 1) / job->segment + 1;
  for (uint32_t task = first; task < last; ++task) {
    const Share share = shareOf(job->rows * segments, 1, task, job->tasks);
    for (uint32_t at = share.first; at < share.last;) {
      at += job->form == kRows     ? rowsAt(job, scratch, at, share.last)
            : job->form == kRepeat ? repeatAt(job, scratch, at, share.last)
                                   : expandAt(job, scratch, at, share.last);
    }
  }
}
