// The few STUN and TURN messages (RFC 8489, RFC 8656) that a client under load sends and reads.
#ifndef STUN_H
#define STUN_H
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define STUN_HEADER_BYTES 20
#define TYPE_ALLOCATE 0x0003
#define TYPE_REFRESH 0x0004
#define TYPE_SEND 0x0016
#define TYPE_DATA 0x0017
#define TYPE_CHANNEL_BIND 0x0009
#define SUCCESS 0x0100
#define FAILURE 0x0110
#define ATTRIBUTE_ERROR_CODE 0x0009
#define ATTRIBUTE_CHANNEL_NUMBER 0x000c
#define ATTRIBUTE_LIFETIME 0x000d
#define ATTRIBUTE_XOR_PEER_ADDRESS 0x0012
#define ATTRIBUTE_DATA 0x0013
#define ATTRIBUTE_REALM 0x0014
#define ATTRIBUTE_NONCE 0x0015
#define ATTRIBUTE_XOR_RELAYED_ADDRESS 0x0016
#define ATTRIBUTE_REQUESTED_TRANSPORT 0x0019

#define NONCE_MAX_BYTES 128

/** Long-term credentials; `key` is MD5(username ":" realm ":" password). */
typedef struct {
  const char *username, *realm;
  uint8_t key[16];
} credentials_t;

/** A message being written; the buffer has room for every message written here. */
typedef struct {
  uint8_t bytes[2048];
  size_t length;
} message_t;

void stun_begin(message_t *m, uint16_t type, const uint8_t transaction[12]);
void stun_attribute(message_t *m, uint16_t type, const void *value, size_t bytes);
void stun_uint32(message_t *m, uint16_t type, uint32_t value);
void stun_xor_address(message_t *m, uint16_t type, const struct sockaddr_in *address);
/** Adds USERNAME, REALM, NONCE and MESSAGE-INTEGRITY. */
void stun_sign(message_t *m, const credentials_t *credentials, const uint8_t *nonce, size_t nonce_bytes);
/** Writes the length into the header. */
void stun_end(message_t *m);

/** The first attribute of a type: its value, with its length in `bytes`; NULL when there is none or the message is broken. */
const uint8_t *stun_find(const uint8_t *packet, size_t packet_bytes, uint16_t type, size_t *bytes);
uint16_t stun_type(const uint8_t *packet);
/** The number in ERROR-CODE, or 0. */
int stun_error(const uint8_t *packet, size_t packet_bytes);
void stun_read_xor_address(const uint8_t value[8], struct sockaddr_in *address);

#endif
