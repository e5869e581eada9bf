#include "stun.h"
#include "sha1.h"
#include <arpa/inet.h>
#include <string.h>

#define MAGIC_COOKIE 0x2112a442u
#define ATTRIBUTE_USERNAME 0x0006
#define ATTRIBUTE_MESSAGE_INTEGRITY 0x0008
#define INTEGRITY_ATTRIBUTE_BYTES (4 + SHA1_BYTES)

static void put16(uint8_t *at, uint16_t value) { at[0] = value >> 8, at[1] = (uint8_t)value; }
static void put32(uint8_t *at, uint32_t value) { put16(at, value >> 16), put16(at + 2, (uint16_t)value); }
static uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }

void stun_begin(message_t *m, uint16_t type, const uint8_t transaction[12]) {
  put16(m->bytes, type);
  put16(m->bytes + 2, 0);
  put32(m->bytes + 4, MAGIC_COOKIE);
  memcpy(m->bytes + 8, transaction, 12);
  m->length = STUN_HEADER_BYTES;
}

void stun_attribute(message_t *m, uint16_t type, const void *value, size_t bytes) {
  uint8_t *at = m->bytes + m->length;
  size_t padded = (bytes + 3) & ~(size_t)3;
  put16(at, type);
  put16(at + 2, (uint16_t)bytes);
  memset(at + 4, 0, padded);
  if (bytes > 0) memcpy(at + 4, value, bytes);
  m->length += 4 + padded;
}

void stun_uint32(message_t *m, uint16_t type, uint32_t value) {
  uint8_t bytes[4];
  put32(bytes, value);
  stun_attribute(m, type, bytes, sizeof bytes);
}

void stun_xor_address(message_t *m, uint16_t type, const struct sockaddr_in *address) {
  uint8_t value[8] = {0, 1};
  put16(value + 2, ntohs(address->sin_port) ^ (MAGIC_COOKIE >> 16));
  put32(value + 4, ntohl(address->sin_addr.s_addr) ^ MAGIC_COOKIE);
  stun_attribute(m, type, value, sizeof value);
}

void stun_sign(message_t *m, const credentials_t *credentials, const uint8_t *nonce, size_t nonce_bytes) {
  stun_attribute(m, ATTRIBUTE_USERNAME, credentials->username, strlen(credentials->username));
  stun_attribute(m, ATTRIBUTE_REALM, credentials->realm, strlen(credentials->realm));
  stun_attribute(m, ATTRIBUTE_NONCE, nonce, nonce_bytes);
  // The HMAC covers everything before it, under a length that already counts it.
  put16(m->bytes + 2, (uint16_t)(m->length - STUN_HEADER_BYTES + INTEGRITY_ATTRIBUTE_BYTES));
  uint8_t mac[SHA1_BYTES];
  hmac_sha1(credentials->key, sizeof credentials->key, m->bytes, m->length, mac);
  stun_attribute(m, ATTRIBUTE_MESSAGE_INTEGRITY, mac, sizeof mac);
}

void stun_end(message_t *m) { put16(m->bytes + 2, (uint16_t)(m->length - STUN_HEADER_BYTES)); }

uint16_t stun_type(const uint8_t *packet) { return get16(packet); }

const uint8_t *stun_find(const uint8_t *packet, size_t packet_bytes, uint16_t type, size_t *bytes) {
  if (packet_bytes < STUN_HEADER_BYTES || STUN_HEADER_BYTES + (size_t)get16(packet + 2) != packet_bytes) return NULL;
  for (size_t at = STUN_HEADER_BYTES; at + 4 <= packet_bytes;) {
    size_t length = get16(packet + at + 2);
    if (at + 4 + length > packet_bytes) return NULL;
    if (get16(packet + at) == type) {
      *bytes = length;
      return packet + at + 4;
    }
    at += 4 + ((length + 3) & ~(size_t)3);
  }
  return NULL;
}

int stun_error(const uint8_t *packet, size_t packet_bytes) {
  size_t bytes;
  const uint8_t *value = stun_find(packet, packet_bytes, ATTRIBUTE_ERROR_CODE, &bytes);
  return value != NULL && bytes >= 4 ? (value[2] & 7) * 100 + value[3] : 0;
}

void stun_read_xor_address(const uint8_t value[8], struct sockaddr_in *address) {
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  address->sin_port = htons(get16(value + 2) ^ (MAGIC_COOKIE >> 16));
  uint32_t ip = (uint32_t)get16(value + 4) << 16 | get16(value + 6);
  address->sin_addr.s_addr = htonl(ip ^ MAGIC_COOKIE);
}
