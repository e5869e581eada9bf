#include "load.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_NS 500000000
#define ATTEMPTS_MAX 8
/** Where the channel of a client without a peer leads; nothing is sent there. */
#define SILENT_PEER_PORT 9999
#define LAST_PORT 65000

static void transmit(bench_t *bench, client_t *client) {
  message_t m;
  static const uint16_t types[] = {[CHALLENGED] = TYPE_ALLOCATE, [ALLOCATING] = TYPE_ALLOCATE,
                                   [BINDING] = TYPE_CHANNEL_BIND, [CLOSING] = TYPE_REFRESH};
  stun_begin(&m, types[client->state], client->transaction);
  if (client->state == CHALLENGED || client->state == ALLOCATING) {
    stun_uint32(&m, ATTRIBUTE_REQUESTED_TRANSPORT, 17u << 24);
  } else if (client->state == BINDING) {
    stun_uint32(&m, ATTRIBUTE_CHANNEL_NUMBER, (uint32_t)CHANNEL << 16);
    stun_xor_address(&m, ATTRIBUTE_XOR_PEER_ADDRESS, &client->peer);
  } else {
    stun_uint32(&m, ATTRIBUTE_LIFETIME, 0);
  }
  // The first Allocate has no credentials: the answer to it brings the nonce.
  if (client->state != CHALLENGED) stun_sign(&m, &bench->credentials, client->nonce, client->nonce_bytes);
  stun_end(&m);
  if (send(client->socket, m.bytes, m.length, 0) < 0 && errno != EAGAIN) fail("send to the server: %s", strerror(errno));
  client->sent_at = now_ns();
}

static void enter(bench_t *bench, client_t *client, int state) {
  client->state = state;
  client->attempts = 0;
  getrandom(client->transaction, sizeof client->transaction, 0);
  transmit(bench, client);
}

static void take_nonce(const bench_t *bench, client_t *client, const uint8_t *packet, size_t bytes) {
  size_t nonce_bytes, realm_bytes;
  const uint8_t *nonce = stun_find(packet, bytes, ATTRIBUTE_NONCE, &nonce_bytes);
  const uint8_t *realm = stun_find(packet, bytes, ATTRIBUTE_REALM, &realm_bytes);
  if (nonce == NULL || realm == NULL || nonce_bytes > NONCE_MAX_BYTES) fail("the challenge has no nonce and realm");
  if (realm_bytes != strlen(bench->credentials.realm) || memcmp(realm, bench->credentials.realm, realm_bytes) != 0) {
    fail("the server's realm is %.*s, not %s", (int)realm_bytes, realm, bench->credentials.realm);
  }
  memcpy(client->nonce, nonce, nonce_bytes);
  client->nonce_bytes = nonce_bytes;
}

/** The peer talks to the relayed address alone. */
static void connect_peer(const client_t *client) {
  if (client->peer_socket < 0) return;
  if (connect(client->peer_socket, (const struct sockaddr *)&client->relayed, sizeof client->relayed) < 0) {
    fail("connect to the relayed address: %s", strerror(errno));
  }
}

/** Takes one answer; true when the client has arrived where it was going (OPEN or CLOSED). */
static bool receive(bench_t *bench, client_t *client) {
  uint8_t packet[2048];
  ssize_t got = recv(client->socket, packet, sizeof packet, MSG_DONTWAIT);
  if (got < STUN_HEADER_BYTES || memcmp(packet + 8, client->transaction, 12) != 0) return false;
  size_t bytes = (size_t)got;
  uint16_t type = stun_type(packet);
  int error = stun_error(packet, bytes);
  if (client->state == CHALLENGED && type == (TYPE_ALLOCATE | FAILURE) && error == 401) {
    take_nonce(bench, client, packet, bytes);
    enter(bench, client, ALLOCATING);
    return false;
  }
  if (client->state != CHALLENGED && error == 438) {
    take_nonce(bench, client, packet, bytes);
    enter(bench, client, client->state);
    return false;
  }
  if (client->state == ALLOCATING && type == (TYPE_ALLOCATE | SUCCESS)) {
    size_t length;
    const uint8_t *value = stun_find(packet, bytes, ATTRIBUTE_XOR_RELAYED_ADDRESS, &length);
    if (value == NULL || length != 8) fail("the Allocate response has no relayed IPv4 address");
    stun_read_xor_address(value, &client->relayed);
    enter(bench, client, BINDING);
    return false;
  }
  if (client->state == BINDING && type == (TYPE_CHANNEL_BIND | SUCCESS)) {
    connect_peer(client);
    client->state = OPEN;
    return true;
  }
  if (client->state == CLOSING && type == (TYPE_REFRESH | SUCCESS)) {
    client->state = CLOSED;
    return true;
  }
  fail("state %d was answered with type 0x%04x, error %d", client->state, type, error);
}

/** Brings clients `first` to `first + count` from one state into the next, at most `window` at a time. */
static void drive(bench_t *bench, int first, int count, int window, int state) {
  int poll = epoll_create1(EPOLL_CLOEXEC);
  int begun = 0, arrived = 0;
  while (arrived < count) {
    for (; begun < count && begun - arrived < window; begun++) {
      client_t *client = bench->clients + first + begun;
      struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = client};
      if (epoll_ctl(poll, EPOLL_CTL_ADD, client->socket, &wanted) < 0) fail("epoll_ctl: %s", strerror(errno));
      enter(bench, client, state);
    }
    struct epoll_event events[64];
    int ready = epoll_wait(poll, events, 64, RETRY_NS / 1000000);
    for (int i = 0; i < ready; i++) arrived += receive(bench, events[i].data.ptr);
    if (ready > 0) continue;
    for (int i = 0; i < begun; i++) {
      client_t *client = bench->clients + first + i;
      if (client->state == OPEN || client->state == CLOSED || now_ns() - client->sent_at < RETRY_NS) continue;
      if (++client->attempts >= ATTEMPTS_MAX) fail("no answer in state %d after %d attempts", client->state, ATTEMPTS_MAX);
      transmit(bench, client);
    }
  }
  close(poll);
}

void open_clients(bench_t *bench, int count, int window, bool peers) {
  int first = bench->open;
  if (first + count > CLIENTS_MAX) fail("more than %d clients", CLIENTS_MAX);
  for (int i = first; i < first + count; i++) {
    client_t *client = bench->clients + i;
    // A port that was not used before: a server may remember an ended allocation's 5-tuple for a while.
    if (bench->next_port > LAST_PORT) fail("the client's ports are used up");
    struct sockaddr_in local = bench->local;
    local.sin_port = htons(bench->next_port++);
    client->socket = open_socket(&local, NULL);
    if (connect(client->socket, (struct sockaddr *)&bench->server, sizeof bench->server) < 0) {
      fail("connect to the server: %s", strerror(errno));
    }
    client->peer = bench->peer;
    client->peer.sin_port = htons(SILENT_PEER_PORT);
    client->peer_socket = peers ? open_socket(&bench->peer, &client->peer) : -1;
  }
  drive(bench, first, count, window, CHALLENGED);
  bench->open += count;
}

void close_clients(bench_t *bench, int window) {
  drive(bench, 0, bench->open, window, CLOSING);
  for (int i = 0; i < bench->open; i++) {
    close(bench->clients[i].socket);
    if (bench->clients[i].peer_socket >= 0) close(bench->clients[i].peer_socket);
  }
  bench->open = 0;
}
