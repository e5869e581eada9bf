// A TURN client multiplied: what the parts of the load generator share.
#ifndef LOAD_H
#define LOAD_H
#include "stun.h"
#include <stdbool.h>

#define CLIENTS_MAX 10000
/** Bound of one run, so that a slip of the caller ends. */
#define RUN_MAX_MS 60000
#define DATA_MAX_BYTES 1400
#define CHANNEL 0x4000

/** One client with its allocation, and the peer that it talks to. */
typedef struct {
  /** Connected to the server. */
  int socket;
  /** Connected to the relayed address. */
  int peer_socket;
  struct sockaddr_in peer, relayed;
  enum { CLOSED, CHALLENGED, ALLOCATING, BINDING, OPEN, CLOSING } state;
  uint8_t transaction[12];
  uint8_t nonce[NONCE_MAX_BYTES];
  size_t nonce_bytes;
  int64_t sent_at;
  int attempts;
} client_t;

typedef struct {
  struct sockaddr_in server, local, peer;
  /** Port of the next client's socket. */
  uint16_t next_port;
  /** A second port of the peers' address: permitted, and bound to no channel. */
  int unbound_peer;
  struct sockaddr_in unbound_address;
  credentials_t credentials;
  /** Process whose processor time is told with every result. */
  int server_pid;
  client_t *clients;
  /** Clients with an allocation. */
  int open;
} bench_t;

/** Ends the program with a message on standard error. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Monotonic nanoseconds. */
int64_t now_ns(void);
/** Nanoseconds that all threads of a process have run. */
int64_t process_cpu_ns(int pid);
/** A UDP socket with a large receive buffer, bound to a free port of `address`; `bound` gets its address. */
int open_socket(const struct sockaddr_in *address, struct sockaddr_in *bound);

/** Makes `count` allocations with a channel each, `window` at a time. With `peers`, each has a peer of its own. */
void open_clients(bench_t *bench, int count, int window, bool peers);
/** Ends every allocation (Refresh with LIFETIME 0) and closes all sockets. */
void close_clients(bench_t *bench, int window);

typedef struct {
  /** Where packets come from, and how they travel between client and server. */
  enum { CHANNEL_UP, CHANNEL_DOWN, SEND_UP, DATA_DOWN, DIRECT } flow;
  int size, rate, milliseconds;
  /** Packets that one client sends at once (UDP_SEGMENT); they arrive at the server one by one. */
  int burst;
  /** Measures the delay of every packet. */
  bool delay;
} traffic_t;

/** Sends at a rate, receives what arrives, and prints the result as JSON. */
void run_traffic(bench_t *bench, const traffic_t *traffic);

#endif
