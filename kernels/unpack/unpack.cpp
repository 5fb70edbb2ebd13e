// Inflates the kernels that the JavaScript holds: DEFLATE, RFC 1951, with six
// bits of it in each character. JavaScript would do it in the interpreter, as
// it is done once, and takes eight times as long.
#include <stdint.h>

// What the caller gives room for. A table has a symbol, times 16, plus the
// length of its code, for each value of the next bits, as many as the longest
// code has.
struct Scratch {
  uint16_t symbols[1 << 15];
  uint16_t distances[1 << 15];
  uint8_t lengths[320];
  uint8_t digits[128];
  // By length: the next code.
  uint32_t next[16];
};

// Characters are base64's digits. The first bits of the stream are the lowest
// of the first character, as DEFLATE has it for bytes.
struct Bits {
  const uint8_t* text;
  const uint8_t* digits;
  uint64_t held;
  uint32_t count;
};

#define UNPACK_INLINE static inline __attribute__((always_inline))

UNPACK_INLINE void fillDigits(uint8_t* digits) {
  for (uint32_t i = 0; i < 26; ++i) digits['A' + i] = uint8_t(i);
  for (uint32_t i = 0; i < 26; ++i) digits['a' + i] = uint8_t(26 + i);
  for (uint32_t i = 0; i < 10; ++i) digits['0' + i] = uint8_t(52 + i);
  digits['+'] = 62;
  digits['/'] = 63;
}

// From here on 58 bits may be taken; those behind the end are anything.
UNPACK_INLINE void refill(Bits& bits) {
  while (bits.count <= 58) {
    bits.held |= uint64_t(bits.digits[*bits.text++ & 127]) << bits.count;
    bits.count += 6;
  }
}

UNPACK_INLINE uint32_t take(Bits& bits, uint32_t count) {
  const uint32_t value = uint32_t(bits.held) & ((1u << count) - 1);
  bits.held >>= count;
  bits.count -= count;
  return value;
}

UNPACK_INLINE uint32_t symbol(Bits& bits, const uint16_t* table,
                              uint32_t mask) {
  const uint32_t entry = table[bits.held & mask];
  take(bits, entry & 15);
  return entry >> 4;
}

// Section 3.2.2: codes of a length follow each other in the order of their
// symbols. The stream has a code's first bit first. Returns the table's last
// place.
static __attribute__((noinline)) uint32_t fill(uint16_t* table,
                                               const uint8_t* lengths,
                                               uint32_t count, uint32_t* next) {
  for (uint32_t length = 0; length < 16; ++length) next[length] = 0;
  for (uint32_t s = 0; s < count; ++s) ++next[lengths[s]];
  uint32_t longest = 1;
  uint32_t code = 0;
  for (uint32_t length = 1; length < 16; ++length) {
    const uint32_t own = next[length];
    next[length] = code;
    if (own != 0) longest = length;
    code = (code + own) << 1;
  }
  const uint32_t size = 1u << longest;
  for (uint32_t s = 0; s < count; ++s) {
    const uint32_t length = lengths[s];
    if (length == 0) continue;
    uint32_t left = next[length]++;
    uint32_t first = 0;
    for (uint32_t bit = 0; bit < length; ++bit) {
      first = first << 1 | (left & 1);
      left >>= 1;
    }
    for (uint32_t at = first; at < size; at += 1u << length) {
      table[at] = uint16_t(s << 4 | length);
    }
  }
  return size - 1;
}

// The tables' last places.
struct Masks {
  uint32_t symbols;
  uint32_t distances;
};

// Section 3.2.6.
UNPACK_INLINE Masks fixedCodes(Scratch* scratch) {
  uint8_t* lengths = scratch->lengths;
  for (uint32_t s = 0; s < 288; ++s) {
    lengths[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
  }
  const uint32_t symbols = fill(scratch->symbols, lengths, 288, scratch->next);
  for (uint32_t s = 0; s < 30; ++s) lengths[s] = 5;
  return {symbols, fill(scratch->distances, lengths, 30, scratch->next)};
}

// Section 3.2.7: lengths of codes, in codes of their own.
UNPACK_INLINE Masks ownCodes(Scratch* scratch, Bits& bits) {
  uint8_t* lengths = scratch->lengths;
  refill(bits);
  const uint32_t literals = 257 + take(bits, 5);
  const uint32_t all = literals + 1 + take(bits, 5);
  const uint32_t own = 4 + take(bits, 4);
  for (uint32_t i = 0; i < 19; ++i) {
    // 16, 17, 18, 0, 8, 7, 9, 6, 10, …, 1, 15.
    const uint32_t s = i < 3        ? 16 + i
                       : i == 3     ? 0
                       : i % 2 == 0 ? 6 + i / 2
                                    : 9 - i / 2;
    refill(bits);
    lengths[s] = i < own ? uint8_t(take(bits, 3)) : 0;
  }
  const uint32_t mask = fill(scratch->symbols, lengths, 19, scratch->next);
  for (uint32_t i = 0; i < all;) {
    refill(bits);
    const uint32_t s = symbol(bits, scratch->symbols, mask);
    if (s < 16) {
      lengths[i++] = uint8_t(s);
      continue;
    }
    const uint8_t value = s == 16 ? lengths[i - 1] : 0;
    const uint32_t times = s == 16   ? 3 + take(bits, 2)
                           : s == 17 ? 3 + take(bits, 3)
                                     : 11 + take(bits, 7);
    for (uint32_t last = i + times; i < last; ++i) lengths[i] = value;
  }
  return {fill(scratch->symbols, lengths, literals, scratch->next),
          fill(scratch->distances, lengths + literals, all - literals,
               scratch->next)};
}

// Eight bytes, wherever they lie.
struct __attribute__((packed)) Eight {
  uint64_t bytes;
};

// A copy may overlap what it copies. From eight bytes back on it goes eight by
// eight, and writes up to seven behind its end: it runs once, in code that is
// hardly optimized, and V8 would compile a function anew that runs for long.
UNPACK_INLINE void copy(uint8_t* to, uint32_t distance, uint32_t length) {
  const uint8_t* from = to - distance;
  uint8_t* const end = to + length;
  if (distance >= 8) {
    for (; to < end; to += 8, from += 8) {
      *reinterpret_cast<Eight*>(to) = *reinterpret_cast<const Eight*>(from);
    }
    return;
  }
  while (to < end) *to++ = *from++;
}

// Section 3.2.5.
UNPACK_INLINE uint8_t* codedBlock(const Scratch* scratch, Masks masks,
                                  Bits& bits, uint8_t* to) {
  for (;;) {
    refill(bits);
    const uint32_t s = symbol(bits, scratch->symbols, masks.symbols);
    if (s == 256) return to;
    if (s < 256) {
      *to++ = uint8_t(s);
      continue;
    }
    const uint32_t l = s - 257;
    const uint32_t lengthBits = l < 8 || l == 28 ? 0 : l / 4 - 1;
    uint32_t length = l < 8     ? 3 + l
                      : l == 28 ? 258
                                : 3 + ((4 + l % 4) << lengthBits);
    length += take(bits, lengthBits);
    const uint32_t d = symbol(bits, scratch->distances, masks.distances);
    const uint32_t distanceBits = d < 4 ? 0 : d / 2 - 1;
    const uint32_t distance = 1 + take(bits, distanceBits) +
                              (d < 4 ? d : (2 + d % 2) << distanceBits);
    copy(to, distance, length);
    to += length;
  }
}

// Section 3.2.4: bytes as they are, behind their number and its complement.
UNPACK_INLINE uint8_t* storedBlock(const uint8_t* text, Bits& bits,
                                   uint8_t* to) {
  const uint32_t taken = uint32_t(bits.text - text) * 6 - bits.count;
  take(bits, -taken & 7);
  refill(bits);
  uint32_t bytes = take(bits, 16);
  take(bits, 16);
  for (; bytes != 0; --bytes) {
    refill(bits);
    *to++ = uint8_t(take(bits, 8));
  }
  return to;
}

// Writes to `to` what a text comes to, and up to seven bytes behind that. Reads
// some characters beyond the text.
extern "C" __attribute__((export_name("unpack"))) void unpack(
    Scratch* scratch, const uint8_t* text, uint8_t* to) {
  fillDigits(scratch->digits);
  Bits bits = {text, scratch->digits, 0, 0};
  bool last = false;
  while (!last) {
    refill(bits);
    last = take(bits, 1);
    const uint32_t kind = take(bits, 2);
    if (kind == 0) {
      to = storedBlock(text, bits, to);
      continue;
    }
    const Masks masks =
        kind == 1 ? fixedCodes(scratch) : ownCodes(scratch, bits);
    to = codedBlock(scratch, masks, bits, to);
  }
}
