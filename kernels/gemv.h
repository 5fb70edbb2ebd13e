// Few rows times a matrix, which is read where it lies, and once: as fast as it
// comes from memory. Packing it would take three times as long.
//
// The sums of a row stand in the output. A matrix that lies row by row, [depth,
// columns], is added to them some rows at a time, along all of these: long runs
// of memory, which the machine foresees. Of one that lies column by column,
// [columns, depth], some columns at a time are multiplied by the rows.
#pragma once

#include "epilogue.h"
#include "task.h"

// Sums that stay in the first-level cache, in floats, and a row's of them.
constexpr uint32_t kStripeFloats = 4096;
constexpr uint32_t kMostStripe = 4096;
constexpr uint32_t kLeastStripe = 256;
// Values of a column that stay there while each row meets them.
constexpr uint32_t kDepthAtATime = 1024;

// Values of a that registers hold beside the sums.
constexpr int kHeld = 8;

// The rows at a, [rows, depth], times columns at b. Strides are in floats; b's
// is from one row of it to the next, or from one column.
struct FewRows {
  const float* a;
  uint32_t aRow;
  uint32_t aDepth;
  const float* b;
  uint32_t bStride;
  float* c;
  uint32_t cRow;
  uint32_t rows;
  uint32_t depth;
  uint32_t columns;
  // A place for what each of some rows is multiplied by.
  float* values;
};

// R rows of `few` times U rows of b, added to the sums from column j on: NV
// vectors of them, or a single one where NV is 0.
template <int R, int U, int NV>
IM2WIN_INLINE void addVectors(const FewRows& few, const f32x4 (&held)[R][U],
                              uint32_t j) {
  constexpr int kVectors = NV == 0 ? 1 : NV;
  const auto read = [](const float* from) __attribute__((always_inline)) {
    return NV == 0 ? wasm_v128_load32_zero(from) : load(from);
  };
  f32x4 sum[R][kVectors];
  float* c = few.c + j;
  IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
    IM2WIN_UNROLL for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = read(c + r * few.cRow + 4 * v);
    }
  }
  const float* b = few.b + j;
  IM2WIN_UNROLL for (int u = 0; u < U; ++u) {
    f32x4 y[kVectors];
    IM2WIN_UNROLL for (int v = 0; v < kVectors; ++v) y[v] = read(b + 4 * v);
    IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
      const f32x4 x =
          R * U <= kHeld ? held[r][u] : loadSplat(few.values + r * U + u);
      IM2WIN_UNROLL for (int v = 0; v < kVectors; ++v) {
        sum[r][v] = mulAdd(x, y[v], sum[r][v]);
      }
      IM2WIN_UNROLL for (int v = 0; v < kVectors; ++v) pin(sum[r][v]);
    }
    b += few.bStride;
  }
  IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
    IM2WIN_UNROLL for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * few.cRow + 4 * v;
      if (NV == 0) {
        wasm_v128_store32_lane(to, sum[r][v], 0);
      } else {
        store(to, sum[r][v]);
      }
    }
  }
}

// The same along all columns.
template <int R, int U>
IM2WIN_NOINLINE void addRows(FewRows few) {
  constexpr int kVectors = R == 1 ? 4 : 2;
  f32x4 held[R][U];
  IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
    IM2WIN_UNROLL for (int u = 0; u < U; ++u) {
      const float* a = few.a + r * few.aRow + u * few.aDepth;
      if (R * U <= kHeld) {
        held[r][u] = loadSplat(a);
      } else {
        few.values[r * U + u] = *a;
      }
    }
  }
  uint32_t j = 0;
  for (; j + 4 * kVectors <= few.columns; j += 4 * kVectors) {
    addVectors<R, U, kVectors>(few, held, j);
  }
  for (; j + 4 <= few.columns; j += 4) addVectors<R, U, 1>(few, held, j);
  for (; j < few.columns; ++j) addVectors<R, U, 0>(few, held, j);
}

// Adds the products to c. b lies row by row: of a single row of a each value is
// used once, and four rows of b are as many runs of memory as are read at a
// time. With more rows of a it counts what it takes to load their sums and to
// store them, so that eight are; what is left of the rows takes them in two
// turns.
IM2WIN_NOINLINE void addByRows(FewRows few) {
  const auto add = [&]<int U>() __attribute__((always_inline)) {
    FewRows part = few;
    if constexpr (U != 4) {
      for (; part.rows >= 4; part.rows -= 4) {
        addRows<4, U>(part);
        part.a += 4 * part.aRow;
        part.c += 4 * part.cRow;
      }
    }
    constexpr int kTurn = U < 4 ? U : 4;
    for (int turn = 0; turn < U; turn += kTurn) {
      if (part.rows & 2) addRows<2, kTurn>(part);
      if (part.rows & 1) {
        FewRows row = part;
        row.a += (part.rows & 2) * part.aRow;
        row.c += (part.rows & 2) * part.cRow;
        addRows<1, kTurn>(row);
      }
      part.a += kTurn * part.aDepth;
      part.b += kTurn * part.bStride;
    }
    few.a += U * few.aDepth;
    few.b += U * few.bStride;
    few.depth -= U;
  };
  if (few.rows < 4) {
    while (few.depth >= 4) add.template operator()<4>();
  } else {
    while (few.depth >= 8) add.template operator()<8>();
  }
  while (few.depth != 0) add.template operator()<1>();
}

// R rows times O columns, each `few.depth` values deep, added to c.
template <int R, int O>
IM2WIN_NOINLINE void addDots(FewRows few) {
  // Fewer than eight sums would wait for each other.
  constexpr int kTurns = R * O >= 8 ? 1 : R * O >= 4 ? 2 : 4;
  f32x4 sum[kTurns][R][O];
  IM2WIN_UNROLL for (int t = 0; t < kTurns; ++t) {
    IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
      IM2WIN_UNROLL for (int o = 0; o < O; ++o) sum[t][r][o] = splat(0.0f);
    }
  }
  const float* a = few.a;
  const float* b = few.b;
  const auto step = [&](int t, uint32_t lanes) __attribute__((always_inline)) {
    f32x4 x[R];
    IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
      x[r] = loadLanes(a + r * few.aRow + 4 * t, lanes);
    }
    IM2WIN_UNROLL for (int o = 0; o < O; ++o) {
      const f32x4 y = loadLanes(b + o * few.bStride + 4 * t, lanes);
      IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
        sum[t][r][o] = mulAdd(x[r], y, sum[t][r][o]);
        pin(sum[t][r][o]);
      }
    }
  };
  uint32_t depth = few.depth;
  for (; depth >= 4 * kTurns; depth -= 4 * kTurns) {
    IM2WIN_UNROLL for (int t = 0; t < kTurns; ++t) step(t, 4);
    a += 4 * kTurns;
    b += 4 * kTurns;
  }
  for (; depth != 0; depth -= least(depth, uint32_t(4))) {
    step(0, depth);
    a += 4;
    b += 4;
  }
  IM2WIN_UNROLL for (int r = 0; r < R; ++r) {
    IM2WIN_UNROLL for (int t = 1; t < kTurns; ++t) {
      IM2WIN_UNROLL for (int o = 0; o < O; ++o) {
        sum[0][r][o] = wasm_f32x4_add(sum[0][r][o], sum[t][r][o]);
      }
    }
    f32x4 v[4];
    IM2WIN_UNROLL for (int o = 0; o < 4; ++o) {
      v[o] = o < O ? sum[0][r][o < O ? o : 0] : splat(0.0f);
    }
    transpose(v);
    const f32x4 total =
        wasm_f32x4_add(wasm_f32x4_add(v[0], v[1]), wasm_f32x4_add(v[2], v[3]));
    float* to = few.c + r * few.cRow;
    storeLanes(to, wasm_f32x4_add(loadLanes(to, O), total), O);
  }
}

template <int O>
IM2WIN_INLINE void addDotsToAll(FewRows few) {
  for (; few.rows >= 2; few.rows -= 2) {
    addDots<2, O>(few);
    few.a += 2 * few.aRow;
    few.c += 2 * few.cRow;
  }
  if (few.rows != 0) addDots<1, O>(few);
}

// Adds the products to c. b lies column by column, and a row by row.
IM2WIN_NOINLINE void addByColumns(FewRows few) {
  const uint32_t all = few.depth;
  const uint32_t most = few.rows <= 2 ? all : kDepthAtATime;
  while (few.columns != 0) {
    const uint32_t own = few.columns >= 4 ? 4 : 1;
    FewRows part = few;
    for (uint32_t k = 0; k < all; k += part.depth) {
      part.depth = least(most, all - k);
      part.a = few.a + k;
      part.b = few.b + k;
      if (own == 4) {
        addDotsToAll<4>(part);
      } else {
        addDotsToAll<1>(part);
      }
    }
    few.b += own * few.bStride;
    few.c += own;
    few.columns -= own;
  }
}

// Multiplies, and finishes as the call says, whose pixels are the rows.
// Channels count from the first column on.
IM2WIN_NOINLINE void gemv(const ConvCall* call, FewRows few, bool byColumns) {
  const bool inPlace = biasComesFirst(call) && finalOf(call) == kAsTheyAre &&
                       call->activation == kClamp;
  const uint32_t stripe = kStripeFloats / few.rows & ~15u;
  const uint32_t most =
      stripe < kLeastStripe ? kLeastStripe : least(stripe, kMostStripe);
  const uint32_t all = few.columns;
  for (uint32_t n = 0; n < all; n += most) {
    few.columns = least(most, all - n);
    for (uint32_t i = 0; i < few.rows; ++i) {
      for (uint32_t j = 0; j < few.columns; j += 4) {
        storeLanes(few.c + i * few.cRow + j,
                   firstSum(call, n + j, few.columns - j), few.columns - j);
      }
    }
    if (byColumns) {
      addByColumns(few);
    } else {
      addByRows(few);
    }
    if (!inPlace) {
      finishPixels(call, {few.c, 0, 0}, {int32_t(n), int32_t(few.columns)},
                   few.rows);
    }
    few.b += most * (byColumns ? few.bStride : 1);
    few.c += most;
  }
}
