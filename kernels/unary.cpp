// Functions of one value, float by float. A job is a record (unary.def).
#include "exponential.h"
#include "task.h"

// The numbers are shared with src/wasm/unaryJob.ts.
enum class Op : int32_t {
  kLeaky = 0,    // a v where v < 0, v elsewhere.
  kExpUnit = 1,  // b expm1(v) where v < 0, a v elsewhere.
  kLogistic = 2,
  kTanh = 3,
  kExp = 4,
  kSqrt = 5,
  kRsqrt = 6,
  kReciprocal = 7,
};

struct UnaryJob {
#define FIELD(type, name) type name;
#include "unary.def"
#undef FIELD
};

// What a function may use beside its value: what it is told, and constants.
struct Given : Constants {
  f32x4 a;
  f32x4 b;
};

using Function = f32x4 (*)(f32x4, const Given&);

// Where a function takes long one vector is computed at a time, as two at a
// time gain nothing, and its constants are held outside of the loop.
template <Function function, bool takesLong>
IM2WIN_NOINLINE void each(float* to, const float* from, uint32_t count, float a,
                          float b) {
  constexpr uint32_t kVectors = 4;
  Given given;
  if constexpr (takesLong) given.hold();
  given.a = splat(a);
  given.b = splat(b);
  if (count == 0) return;
  const uint32_t last = count < 4 ? 0 : count - 4;
  uint32_t i = 0;
  if constexpr (!takesLong) {
    for (; i + 4 * kVectors <= count; i += 4 * kVectors) {
      f32x4 v[kVectors];
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < kVectors; ++n) {
        v[n] = function(load(from + i + 4 * n), given);
      }
      IM2WIN_UNROLL
      for (uint32_t n = 0; n < kVectors; ++n) store(to + i + 4 * n, v[n]);
    }
    if (i == count) return;
    i = least(i, last);
  }
  // A call that comes back into the loop would have V8 load the constants anew.
  for (f32x4 v = loadLanes(from + i, count);; v = load(from + i)) {
    const f32x4 result = function(v, given);
    if (count < 4) return storeFew(to, result, count);
    store(to + i, result);
    if (i == last) return;
    // Some values of the last vector may be computed once more.
    i = least(i + 4, last);
  }
}

#define FUNCTION(name) \
  IM2WIN_INLINE f32x4 name(f32x4 v, [[maybe_unused]] const Given& given)

FUNCTION(leakyOf) { return prelu(v, given.a); }

FUNCTION(expUnitOf) {
  const f32x4 above = wasm_f32x4_mul(atLeast(v, given.zero), given.a);
  return mulAdd(expm1Below0(v, given), given.b, above);
}

FUNCTION(logisticOf) { return logistic(v, given); }

FUNCTION(tanhOf) { return hyperbolicTangent(v, given); }

FUNCTION(expOf) { return exponential(v, given); }

FUNCTION(sqrtOf) { return wasm_f32x4_sqrt(v); }

FUNCTION(rsqrtOf) { return wasm_f32x4_div(given.one, wasm_f32x4_sqrt(v)); }

FUNCTION(reciprocalOf) { return wasm_f32x4_div(given.one, v); }

#undef FUNCTION

IM2WIN_INLINE void unaryTask(const UnaryJob* job, uint32_t task) {
  const Share share = shareOf(job->count, 16, task, job->tasks);
  const float* from = job->x + share.first;
  float* to = job->output + share.first;
  const uint32_t count = share.last - share.first;
  switch (Op(job->op)) {
#define OP(name, function, takesLong) \
  case Op::name:                      \
    return each<function, takesLong>(to, from, count, job->a, job->b);
    OP(kLeaky, leakyOf, false)
    OP(kExpUnit, expUnitOf, true)
    OP(kLogistic, logisticOf, true)
    OP(kTanh, tanhOf, true)
    OP(kExp, expOf, true)
    OP(kSqrt, sqrtOf, true)
    OP(kRsqrt, rsqrtOf, true)
    OP(kReciprocal, reciprocalOf, true)
#undef OP
  }
}

// Computes tasks `first` to `last` (less one), each a share of the values.
IM2WIN_EXPORT(im2win_unary)
void im2win_unary(const UnaryJob* job, uint32_t first, uint32_t last) {
  for (uint32_t task = first; task < last; ++task) unaryTask(job, task);
}
