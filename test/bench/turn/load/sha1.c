#include "sha1.h"
#include <string.h>

#define BLOCK_BYTES 64

typedef struct {
  uint32_t h[5];
  uint8_t block[BLOCK_BYTES];
  size_t filled;
  uint64_t total;
} sha1_t;

static uint32_t rotate(uint32_t value, int bits) { return value << bits | value >> (32 - bits); }

static void compress(sha1_t *s) {
  uint32_t w[80];
  for (int i = 0; i < 16; i++) {
    const uint8_t *p = s->block + i * 4;
    w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
  }
  for (int i = 16; i < 80; i++) w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);

  uint32_t a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];
  for (int i = 0; i < 80; i++) {
    uint32_t f, k;
    if (i < 20) f = (b & c) | (~b & d), k = 0x5a827999;
    else if (i < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
    else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
    else f = b ^ c ^ d, k = 0xca62c1d6;
    uint32_t next = rotate(a, 5) + f + e + k + w[i];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  s->h[0] += a, s->h[1] += b, s->h[2] += c, s->h[3] += d, s->h[4] += e;
}

static void begin(sha1_t *s) {
  static const uint32_t initial[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  memcpy(s->h, initial, sizeof initial);
  s->filled = 0;
  s->total = 0;
}

static void add(sha1_t *s, const uint8_t *data, size_t bytes) {
  s->total += bytes;
  while (bytes > 0) {
    size_t part = BLOCK_BYTES - s->filled < bytes ? BLOCK_BYTES - s->filled : bytes;
    memcpy(s->block + s->filled, data, part);
    s->filled += part, data += part, bytes -= part;
    if (s->filled == BLOCK_BYTES) {
      compress(s);
      s->filled = 0;
    }
  }
}

static void end(sha1_t *s, uint8_t out[SHA1_BYTES]) {
  uint64_t bits = s->total * 8;
  static const uint8_t padding[BLOCK_BYTES] = {0x80};
  add(s, padding, s->filled < 56 ? 56 - s->filled : 120 - s->filled);
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
  add(s, length, sizeof length);
  for (int i = 0; i < SHA1_BYTES; i++) out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void hmac_sha1(const uint8_t *key, size_t key_bytes, const uint8_t *data, size_t bytes, uint8_t out[SHA1_BYTES]) {
  uint8_t inner[BLOCK_BYTES], outer[BLOCK_BYTES];
  for (size_t i = 0; i < BLOCK_BYTES; i++) {
    uint8_t k = i < key_bytes ? key[i] : 0;
    inner[i] = k ^ 0x36;
    outer[i] = k ^ 0x5c;
  }
  sha1_t s;
  begin(&s);
  add(&s, inner, BLOCK_BYTES);
  add(&s, data, bytes);
  end(&s, out);
  begin(&s);
  add(&s, outer, BLOCK_BYTES);
  add(&s, out, SHA1_BYTES);
  end(&s, out);
}
