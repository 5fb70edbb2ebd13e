// Unpacks the kernels that the JavaScript holds: LZMA with lc = 3, lp = 0 and
// pb = 2, without its header, in base64. The format is that of Igor Pavlov's
// LZMA specification (LZMA SDK, lzma-specification.txt), and so are the names.
// JavaScript would do it in the interpreter, as it is done once, and takes
// several times as long.
#include <stdint.h>

// How likely a bit is 0, times 2048.
using Prob = uint16_t;

constexpr uint32_t STATES = 12;
constexpr uint32_t POS_STATES = 4;
// Up to three bits take a byte's tree and two that know the byte at the last
// distance.
constexpr uint32_t LITERAL_PROBS = 0x300;

// A tree of n bits has its nodes at 1 to 2ⁿ - 1.
struct LengthProbs {
  // At 1.
  Prob choice[2], choice2[2];
  Prob low[POS_STATES][8], mid[POS_STATES][8], high[256];
};

// Single bits are trees of one bit.
struct Probs {
  Prob isMatch[STATES][POS_STATES][2], isRep0Long[STATES][POS_STATES][2];
  Prob isRep[STATES][2], isRepG0[STATES][2], isRepG1[STATES][2],
      isRepG2[STATES][2];
  // By the length, 2 to 5 and more.
  Prob posSlot[4][64];
  // By the slot, 4 to 13: trees of one to five bits.
  Prob pos[10][32];
  Prob align[16];
  LengthProbs match, rep;
  // By the three highest bits of the byte before.
  Prob literal[8][LITERAL_PROBS];
};

struct Range {
  uint32_t range;
  uint32_t code;
  const uint8_t* from;
};

// What the caller gives room for.
struct Scratch {
  Range range;
  Probs probs;
  uint8_t digits[128];
};

#define UNPACK_INLINE static inline __attribute__((always_inline))
#define UNPACK_NOINLINE static __attribute__((noinline))

UNPACK_INLINE void normalize(Range& r) {
  if (r.range >= 1u << 24) return;
  r.range <<= 8;
  r.code = r.code << 8 | *r.from++;
}

UNPACK_INLINE uint32_t bit(Range& r, Prob* prob) {
  normalize(r);
  const uint32_t p = *prob;
  const uint32_t bound = (r.range >> 11) * p;
  if (r.code < bound) {
    r.range = bound;
    *prob = Prob(p + ((2048 - p) >> 5));
    return 0;
  }
  r.range -= bound;
  r.code -= bound;
  *prob = Prob(p - (p >> 5));
  return 1;
}

// Goes from a node of a tree down to one that is at least `end`. It is called
// often, so that V8 soon has it optimized.
UNPACK_NOINLINE uint32_t walk(Range* range, Prob* probs, uint32_t node,
                              uint32_t end) {
  Range r = *range;
  while (node < end) node = node << 1 | bit(r, probs + node);
  *range = r;
  return node;
}

UNPACK_INLINE uint32_t tree(Range* range, Prob* probs, uint32_t bits) {
  return walk(range, probs, 1, 1u << bits) - (1u << bits);
}

// The lowest bit comes first.
UNPACK_INLINE uint32_t reverseTree(Range* range, Prob* probs, uint32_t bits) {
  uint32_t left = tree(range, probs, bits);
  uint32_t value = 0;
  for (; bits != 0; --bits, left >>= 1) value = value << 1 | (left & 1);
  return value;
}

UNPACK_INLINE uint32_t flag(Range* range, Prob* probs) {
  return tree(range, probs, 1);
}

UNPACK_INLINE uint32_t directBits(Range* range, uint32_t bits) {
  Range r = *range;
  uint32_t value = 0;
  for (; bits != 0; --bits) {
    normalize(r);
    r.range >>= 1;
    const uint32_t one = r.code >= r.range;
    if (one) r.code -= r.range;
    value = value << 1 | one;
  }
  *range = r;
  return value;
}

// `match` is the byte at the last distance: as long as they agree, its bits
// choose the tree.
UNPACK_NOINLINE uint32_t matchedLiteral(Range* range, Prob* probs,
                                        uint32_t match) {
  Range r = *range;
  uint32_t node = 1;
  while (node < 0x100) {
    const uint32_t expected = match >> 7 & 1;
    match <<= 1;
    const uint32_t b = bit(r, probs + ((1 + expected) << 8) + node);
    node = node << 1 | b;
    if (b != expected) break;
  }
  *range = r;
  return walk(range, probs, node, 0x100);
}

UNPACK_NOINLINE uint32_t length(Range* range, LengthProbs* probs,
                                uint32_t posState) {
  if (!flag(range, probs->choice))
    return 2 + tree(range, probs->low[posState], 3);
  if (!flag(range, probs->choice2)) {
    return 10 + tree(range, probs->mid[posState], 3);
  }
  return 18 + tree(range, probs->high, 8);
}

UNPACK_INLINE uint32_t distance(Range* range, Probs& probs, uint32_t length) {
  const uint32_t slot =
      tree(range, probs.posSlot[length < 5 ? length - 2 : 3], 6);
  if (slot < 4) return slot + 1;
  const uint32_t bits = (slot >> 1) - 1;
  const uint32_t high = (2 | (slot & 1)) << bits;
  if (slot < 14)
    return high + reverseTree(range, probs.pos[slot - 4], bits) + 1;
  const uint32_t middle = directBits(range, bits - 4) << 4;
  return high + middle + reverseTree(range, probs.align, 4) + 1;
}

// Digits become bytes, in place: three of four.
UNPACK_INLINE void fromBase64(uint8_t* digits, uint8_t* text,
                              uint32_t characters) {
  for (uint32_t i = 0; i < 26; ++i) digits['A' + i] = uint8_t(i);
  for (uint32_t i = 0; i < 26; ++i) digits['a' + i] = uint8_t(26 + i);
  for (uint32_t i = 0; i < 10; ++i) digits['0' + i] = uint8_t(52 + i);
  digits['+'] = 62;
  digits['/'] = 63;
  uint8_t* to = text;
  for (uint32_t i = 0; i < characters; i += 4) {
    uint32_t held = 0;
    for (uint32_t j = 0; j < 4; ++j)
      held = held << 6 | digits[text[i + j] & 127];
    *to++ = uint8_t(held >> 16);
    *to++ = uint8_t(held >> 8);
    *to++ = uint8_t(held);
  }
}

// Writes the first `bytes` of what a text comes to, and those of a copy that
// goes on behind them, which are up to 272. The text is of `characters`, a
// multiple of four, and is overwritten.
extern "C" __attribute__((export_name("unpack"))) void unpack(
    Scratch* scratch, uint8_t* text, uint32_t characters, uint8_t* to,
    uint32_t bytes) {
  fromBase64(scratch->digits, text, characters);
  Range* range = &scratch->range;
  Probs& probs = scratch->probs;
  for (Prob* p = reinterpret_cast<Prob*>(&probs);
       p < reinterpret_cast<Prob*>(&probs + 1); ++p) {
    *p = 1024;
  }
  *range = {~0u, 0, text + 1};
  for (uint32_t i = 0; i < 4; ++i) {
    range->code = range->code << 8 | *range->from++;
  }
  uint32_t state = 0;
  // The last distances, the latest first.
  uint32_t rep0 = 1, rep1 = 1, rep2 = 1, rep3 = 1;
  uint32_t before = 0;
  for (uint32_t at = 0; at < bytes;) {
    const uint32_t posState = at % POS_STATES;
    if (!flag(range, probs.isMatch[state][posState])) {
      Prob* literal = probs.literal[before >> 5];
      before = state < 7 ? walk(range, literal, 1, 0x100)
                         : matchedLiteral(range, literal, to[at - rep0]);
      before &= 0xff;
      to[at++] = uint8_t(before);
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    uint32_t count;
    if (!flag(range, probs.isRep[state])) {
      rep3 = rep2;
      rep2 = rep1;
      rep1 = rep0;
      count = length(range, &probs.match, posState);
      rep0 = distance(range, probs, count);
      state = state < 7 ? 7 : 10;
    } else {
      bool one = false;
      if (!flag(range, probs.isRepG0[state])) {
        one = !flag(range, probs.isRep0Long[state][posState]);
      } else {
        uint32_t rep = rep1;
        if (flag(range, probs.isRepG1[state])) {
          rep = rep2;
          if (flag(range, probs.isRepG2[state])) {
            rep = rep3;
            rep3 = rep2;
          }
          rep2 = rep1;
        }
        rep1 = rep0;
        rep0 = rep;
      }
      count = one ? 1 : length(range, &probs.rep, posState);
      state = state >= 7 ? 11 : one ? 9 : 8;
    }
    for (; count != 0; --count, ++at) to[at] = to[at - rep0];
    before = to[at - 1];
  }
}
