// Data that moves as it is, or nearly so: copies of boxes, concatenation,
// padding, filling, transposing, and values of one type as another. A job is a
// record (move.def); what is written shares no byte with what is read.
#define IM2WIN_FEW IM2WIN_INLINE
#include "copy.h"
#include "task.h"

// The numbers are shared with src/wasm/moveJob.ts.
enum Move : int32_t {
  kStreams = 0,  // Rows of several tensors, in turn.
  kBox = 1,      // Rows anywhere.
  kFill = 2,     // `run` bytes, all of them `value`.
  kPad = 3,      // A box, and `value` around it.
  kTranspose = 4,
  // Casts: `run` is how many values there are.
  kFloatToInt = 5,
  kIntToFloat = 6,
  kBoolToInt = 7,
  kBoolToFloat = 8,
  kFloatToBool = 9,
  kIntToBool = 10,
};

struct MoveJob {
#define FIELD(type, name) type name;
#include "move.def"
#undef FIELD
};

struct Stream {
#define FIELD(type, name) type name;
#include "stream.def"
#undef FIELD
};

IM2WIN_NOINLINE void moveStreams(const MoveJob* job, uint32_t task) {
  const Stream* stream = (const Stream*)(job + 1);
  const Stream* end = stream + job->streams;
  const Share rows = shareOf(job->rows, 1, task, job->tasks);
  for (; stream < end; ++stream) {
    if (job->rows == 1) {
      const Share bytes = shareOf(stream->run, 64, task, job->tasks);
      copyRun(moved(stream->to, bytes.first), moved(stream->from, bytes.first),
              bytes.last - bytes.first);
    } else {
      copyRows(moved(stream->to, rows.first * stream->toStep),
               moved(stream->from, rows.first * stream->fromStep),
               rows.last - rows.first, stream->fromStep, stream->toStep,
               stream->run);
    }
  }
}

// Where a row of the outer dimensions is read and written.
struct Place {
  const char* from;
  char* to;
};

// The place of number `lines` of all dimensions but the innermost one.
IM2WIN_INLINE Place placeOf(const MoveJob* job, uint32_t lines) {
  Place place = {job->from, job->to};
#define DIMENSION(n)                                      \
  if (lines > 0) {                                        \
    const uint32_t outer = lines / job->size##n;          \
    const uint32_t index = lines - outer * job->size##n;  \
    place.from = moved(place.from, index * job->from##n); \
    place.to = moved(place.to, index * job->to##n);       \
    lines = outer;                                        \
  }
  DIMENSION(1)
  DIMENSION(2)
  DIMENSION(3)
  DIMENSION(4)
  DIMENSION(5)
#undef DIMENSION
  return place;
}

IM2WIN_NOINLINE void moveBox(const MoveJob* job, uint32_t row, uint32_t last) {
  while (row < last) {
    const uint32_t lines = row / job->size0;
    const uint32_t index = row - lines * job->size0;
    const uint32_t rows = least(job->size0 - index, last - row);
    const Place place = placeOf(job, lines);
    copyRows(moved(place.to, index * job->to0),
             moved(place.from, index * job->from0), rows, job->from0, job->to0,
             job->run);
    row += rows;
  }
}

// Where number `lines` of all dimensions but the innermost one is read; null if
// it lies in a padding.
IM2WIN_INLINE const char* insideOf(const MoveJob* job, uint32_t lines) {
  const char* from = job->from;
#define DIMENSION(n)                                                     \
  if (job->size##n > 1) {                                                \
    const uint32_t outer = lines / job->size##n;                         \
    const uint32_t index = lines - outer * job->size##n - job->first##n; \
    if (index >= job->inside##n) return nullptr;                         \
    from = moved(from, index * job->from##n);                            \
    lines = outer;                                                       \
  }
  DIMENSION(1)
  DIMENSION(2)
  DIMENSION(3)
  DIMENSION(4)
#undef DIMENSION
  return from;
}

// Rows with paddings to both sides: the one behind a row and the one before the
// next are written at once.
IM2WIN_NOINLINE void padRows(const MoveJob* job, char* to, const char* from,
                             uint32_t rows) {
  const uint32_t run = job->run;
  const uint32_t value = job->value;
  const uint32_t between = job->runAfter + job->runBefore;
  fillRun(to, job->runBefore, value);
  to = moved(to, job->runBefore);
  for (; rows > 0; --rows) {
    copyRun(to, from, run);
    to = moved(to, run);
    from = moved(from, job->from0);
    fillRun(to, rows > 1 ? between : job->runAfter, value);
    to = moved(to, between);
  }
}

IM2WIN_NOINLINE void movePad(const MoveJob* job, uint32_t row, uint32_t last) {
  const uint32_t bytes = job->runBefore + job->run + job->runAfter;
  char* to = moved(job->to, row * bytes);
  while (row < last) {
    const uint32_t lines = row / job->size0;
    const uint32_t index = row - lines * job->size0;
    const char* from = insideOf(job, lines);
    // Up to the end of this padding, or of what is copied.
    const uint32_t inside = index - job->first0;
    const bool copied = from != nullptr && inside < job->inside0;
    uint32_t end = job->size0;
    if (from != nullptr && index < job->first0) end = job->first0;
    if (copied) end = job->first0 + job->inside0;
    const uint32_t rows = least(end - index, last - row);
    if (copied) {
      padRows(job, to, moved(from, inside * job->from0), rows);
    } else {
      fillRun(to, rows * bytes, job->value);
    }
    to = moved(to, rows * bytes);
    row += rows;
  }
}

// A block of a plane: its rows, of `across` values, become columns.
constexpr uint32_t kAcross = 256;
constexpr uint32_t kDown = 32;

IM2WIN_NOINLINE void transposeBlock(const MoveJob* job, char* to,
                                    const char* from, uint32_t across,
                                    uint32_t down) {
  const uint32_t fromDown = job->fromDown;
  const uint32_t toAcross = job->toAcross;
  for (uint32_t i = 0; i < across; i += 4) {
    const uint32_t columns = least(across - i, 4u);
    uint32_t j = 0;
    if (columns == 4) {
      const float* row = (const float*)moved(from, 4 * i);
      float* column = (float*)moved(to, i * toAcross);
      for (; j + 4 <= down; j += 4) {
        f32x4 v[4];
        IM2WIN_UNROLL
        for (uint32_t n = 0; n < 4; ++n) v[n] = load(moved(row, n * fromDown));
        transpose(v);
        IM2WIN_UNROLL
        for (uint32_t n = 0; n < 4; ++n) {
          store(moved(column, n * toAcross), v[n]);
        }
        row = moved(row, 4 * fromDown);
        column += 4;
      }
    }
    for (; j < down; j += 4) {
      const uint32_t rows = least(down - j, 4u);
      const float* row = (const float*)moved(from, j * fromDown + 4 * i);
      float* column = (float*)moved(to, i * toAcross + 4 * j);
      f32x4 v[4];
      // A row that is not there is not stored.
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < 4; ++n) {
        v[n] = n < rows ? loadLanes(moved(row, n * fromDown), columns) : v[0];
      }
      transpose(v);
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < 4; ++n) {
        if (n < columns) storeLanes(moved(column, n * toAcross), v[n], rows);
      }
    }
  }
}

// Dimensions 0 and 1 are blocks of the plane, down and across.
IM2WIN_NOINLINE void moveTranspose(const MoveJob* job, uint32_t row,
                                   uint32_t last) {
  for (; row < last; ++row) {
    const uint32_t lines = row / job->size0;
    const uint32_t downBlock = row - lines * job->size0;
    const uint32_t acrossBlock = lines % job->size1;
    const Place place = placeOf(job, lines);
    transposeBlock(job, moved(place.to, downBlock * job->to0),
                   moved(place.from, downBlock * job->from0),
                   least(job->across - acrossBlock * kAcross, kAcross),
                   least(job->down - downBlock * kDown, kDown));
  }
}

// As JavaScript's ToInt32: modulo 2^32, and 0 for what is no number.
IM2WIN_INLINE int32_t toInt(float value) {
  // From 2^63 on a float is a multiple of 2^32.
  if (!(value > -0x1p63f && value < 0x1p63f)) return 0;
  return int32_t(int64_t(value));
}

IM2WIN_INLINE void floatsToInts(int32_t* to, const float* from,
                                uint32_t count) {
  const v128_t limit = wasm_f32x4_splat(0x1p31f);
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    v128_t v[4];
    v128_t near = wasm_i32x4_splat(-1);
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < 4; ++n) {
      v[n] = wasm_v128_load(from + i + 4 * n);
      near = wasm_v128_and(near, wasm_f32x4_lt(wasm_f32x4_abs(v[n]), limit));
    }
    if (wasm_i32x4_all_true(near)) {
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < 4; ++n) {
        wasm_v128_store(to + i + 4 * n, wasm_i32x4_trunc_sat_f32x4(v[n]));
      }
    } else {
      for (uint32_t n = i; n < i + 16; ++n) to[n] = toInt(from[n]);
    }
  }
  for (; i < count; ++i) to[i] = toInt(from[i]);
}

IM2WIN_INLINE void intsToFloats(float* to, const int32_t* from,
                                uint32_t count) {
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    IM2WIN_UNROLL
    for (uint32_t n = i; n < i + 16; n += 4) {
      const v128_t ints = wasm_v128_load(from + n);
      wasm_v128_store(to + n, wasm_f32x4_convert_i32x4(ints));
    }
  }
  for (; i < count; ++i) to[i] = from[i];
}

template <typename T>
IM2WIN_INLINE void boolsTo(T* to, const uint8_t* from, uint32_t count) {
  constexpr bool floats = T(0.5) != 0;
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const v128_t bytes = wasm_v128_load(from + i);
    const v128_t low = wasm_u16x8_extend_low_u8x16(bytes);
    const v128_t high = wasm_u16x8_extend_high_u8x16(bytes);
    v128_t v[4] = {
        wasm_u32x4_extend_low_u16x8(low), wasm_u32x4_extend_high_u16x8(low),
        wasm_u32x4_extend_low_u16x8(high), wasm_u32x4_extend_high_u16x8(high)};
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < 4; ++n) {
      wasm_v128_store(to + i + 4 * n,
                      floats ? wasm_f32x4_convert_i32x4(v[n]) : v[n]);
    }
  }
  for (; i < count; ++i) to[i] = from[i];
}

// 1 for all but zeros, also for NaN.
template <typename T>
IM2WIN_INLINE void toBools(uint8_t* to, const T* from, uint32_t count) {
  constexpr bool floats = T(0.5) != 0;
  const v128_t zero = wasm_i32x4_splat(0);
  uint32_t i = 0;
  for (; i + 16 <= count; i += 16) {
    v128_t v[4];
    IM2WIN_UNROLL
    for (uint32_t n = 0; n < 4; ++n) {
      v[n] = wasm_v128_load(from + i + 4 * n);
      v[n] = floats ? wasm_f32x4_ne(v[n], zero) : wasm_i32x4_ne(v[n], zero);
    }
    const v128_t bytes =
        wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(v[0], v[1]),
                                wasm_i16x8_narrow_i32x4(v[2], v[3]));
    wasm_v128_store(to + i, wasm_v128_and(bytes, wasm_i8x16_splat(1)));
  }
  for (; i < count; ++i) to[i] = from[i] != 0;
}

IM2WIN_NOINLINE void moveCast(const MoveJob* job, uint32_t first,
                              uint32_t last) {
  const uint32_t count = last - first;
  const float* floats = (const float*)job->from + first;
  const int32_t* ints = (const int32_t*)job->from + first;
  const uint8_t* bools = (const uint8_t*)job->from + first;
  switch (job->move) {
    case kFloatToInt:
      return floatsToInts((int32_t*)job->to + first, floats, count);
    case kIntToFloat:
      return intsToFloats((float*)job->to + first, ints, count);
    case kBoolToInt:
      return boolsTo((int32_t*)job->to + first, bools, count);
    case kBoolToFloat:
      return boolsTo((float*)job->to + first, bools, count);
    case kFloatToBool:
      return toBools((uint8_t*)job->to + first, floats, count);
    default:
      return toBools((uint8_t*)job->to + first, ints, count);
  }
}

IM2WIN_INLINE void moveTask(const MoveJob* job, uint32_t task) {
  if (job->move == kStreams) return moveStreams(job, task);
  if (job->move == kFill || job->move > kTranspose) {
    const Share share = shareOf(job->run, 64, task, job->tasks);
    if (job->move > kTranspose) return moveCast(job, share.first, share.last);
    return fillRun(moved(job->to, share.first), share.last - share.first,
                   job->value);
  }
  const Share rows = shareOf(job->rows, 1, task, job->tasks);
  if (job->move == kPad) return movePad(job, rows.first, rows.last);
  if (job->move == kTranspose) return moveTranspose(job, rows.first, rows.last);
  moveBox(job, rows.first, rows.last);
}

// Computes tasks `first` to `last` (less one) of a job that moves data: a task
// is a share of its rows.
IM2WIN_EXPORT(im2win_move)
void im2win_move(const MoveJob* job, uint32_t first, uint32_t last) {
  for (uint32_t task = first; task < last; ++task) moveTask(job, task);
}
