// What memory allows: as many bytes read and written as one instruction moves.
#include "simd.h"

// One memory.copy, of pieces that do not overlap.
IM2WIN_EXPORT(copy)
void copy(char* to, const char* from, uint32_t bytes) {
  __builtin_memcpy(to, from, bytes);
}
