// SHA-1 and HMAC-SHA1 (FIPS 180-4, RFC 2104), so that the load generator needs nothing but a C compiler.
#ifndef SHA1_H
#define SHA1_H
#include <stddef.h>
#include <stdint.h>

#define SHA1_BYTES 20

void hmac_sha1(const uint8_t *key, size_t key_bytes, const uint8_t *data, size_t bytes, uint8_t out[SHA1_BYTES]);

#endif
