#include "load.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/** Between two looks at what is due: as a network card would hand packets over in small groups. */
#define TICK_NS 100000
/** What could not be sent in time within so long is given up, so that a stall does not become a flood. */
#define CATCH_UP_NS 5000000
/** After the last packet was sent, so long without a packet means that no more will come. */
#define QUIET_NS 100000000
#define BATCH 64
#define PACKET_MAX_BYTES 1600
/** First bytes of every payload; as in RTP the top bits are 10, so that nothing takes it for STUN or ChannelData. */
#define MARK 0x80
#define STAMP_OFFSET 8
#define DATA_MIN_BYTES 16

/** Delays in 1/16 steps of each power of two, from nanoseconds to minutes. */
#define DELAY_SLOTS (40 * 16)

static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static uint8_t buffers[BATCH][PACKET_MAX_BYTES];
static uint8_t control[BATCH][64];
static uint64_t delays[DELAY_SLOTS];
static uint64_t received, broken;
static uint32_t run_id;

static int delay_slot(uint64_t ns) {
  if (ns < 16) return (int)ns;
  int power = 63 - __builtin_clzll(ns);
  int slot = (power - 3) * 16 + (int)(ns >> (power - 4) & 15);
  return slot < DELAY_SLOTS ? slot : DELAY_SLOTS - 1;
}

static double slot_us(int slot) {
  if (slot < 16) return slot / 1e3;
  return (double)((uint64_t)(16 + slot % 16) << (slot / 16 - 1)) / 1e3;
}

static double percentile_us(double share) {
  uint64_t total = 0, seen = 0;
  for (int i = 0; i < DELAY_SLOTS; i++) total += delays[i];
  for (int i = 0; i < DELAY_SLOTS; i++) {
    seen += delays[i];
    if (seen > 0 && seen >= share * (double)total) return slot_us(i);
  }
  return 0;
}

static int64_t real_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/** What a packet arrived as. */
typedef enum { RAW, IN_CHANNEL_DATA, IN_DATA_INDICATION } form_t;

/** The payload of a received packet with its size and form; NULL when it is nothing that we send. */
static const uint8_t *payload(const uint8_t *packet, size_t bytes, size_t *size, form_t *form) {
  const uint8_t *data = packet;
  *size = bytes;
  *form = RAW;
  if (bytes > 4 && packet[0] == CHANNEL >> 8 && packet[1] == (CHANNEL & 255)) {
    *form = IN_CHANNEL_DATA;
    data = packet + 4;
    *size = (size_t)packet[2] << 8 | packet[3];
    if (*size > bytes - 4) return NULL;
  } else if (bytes >= STUN_HEADER_BYTES && stun_type(packet) == TYPE_DATA) {
    *form = IN_DATA_INDICATION;
    data = stun_find(packet, bytes, ATTRIBUTE_DATA, size);
  }
  return data != NULL && *size >= DATA_MIN_BYTES && data[0] == MARK ? data : NULL;
}

/** Counts one received packet; returns its payload when it is a sound one of this run. */
static const uint8_t *judge(const traffic_t *traffic, const uint8_t *packet, size_t bytes) {
  size_t size;
  form_t form, wanted = traffic->flow == CHANNEL_DOWN ? IN_CHANNEL_DATA : traffic->flow == DATA_DOWN ? IN_DATA_INDICATION : RAW;
  const uint8_t *data = payload(packet, bytes, &size, &form);
  // A packet of an earlier run, late out of a queue, is not this run's fault.
  if (data != NULL && memcmp(data + 4, &run_id, 4) != 0) return NULL;
  if (data != NULL && size == (size_t)traffic->size && form == wanted) {
    received++;
    return data;
  }
  broken++;
  return NULL;
}

static void record_delay(struct msghdr *header, const uint8_t *data) {
  int64_t sent_at;
  memcpy(&sent_at, data + STAMP_OFFSET, sizeof sent_at);
  for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    struct timespec time;
    memcpy(&time, CMSG_DATA(c), sizeof time);
    int64_t delay = time.tv_sec * 1000000000ll + time.tv_nsec - sent_at;
    delays[delay_slot(delay > 0 ? (uint64_t)delay : 0)]++;
  }
}

static void receive_from(const traffic_t *traffic, int socket) {
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      vectors[i] = (struct iovec){buffers[i], PACKET_MAX_BYTES};
      messages[i].msg_hdr = (struct msghdr){.msg_iov = vectors + i, .msg_iovlen = 1};
      if (traffic->delay) messages[i].msg_hdr.msg_control = control[i], messages[i].msg_hdr.msg_controllen = sizeof control[i];
    }
    int count = recvmmsg(socket, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++) {
      const uint8_t *data = judge(traffic, buffers[i], messages[i].msg_len);
      if (data != NULL && traffic->delay) record_delay(&messages[i].msg_hdr, data);
    }
    if (count < BATCH) return;
  }
}

/** Receives whatever has arrived; true when something had. */
static bool receive_all(const traffic_t *traffic, int poll) {
  struct epoll_event events[256];
  int ready = epoll_wait(poll, events, 256, 0);
  for (int i = 0; i < ready; i++) receive_from(traffic, events[i].data.fd);
  return ready > 0;
}

/** Makes the packet that `client` sends; returns the offset of its payload. */
static size_t compose(const traffic_t *traffic, const client_t *client, message_t *m) {
  uint8_t data[DATA_MAX_BYTES] = {MARK};
  memcpy(data + 4, &run_id, 4);
  size_t size = (size_t)traffic->size;
  if (traffic->flow == SEND_UP) {
    stun_begin(m, TYPE_SEND, client->transaction);
    stun_xor_address(m, ATTRIBUTE_XOR_PEER_ADDRESS, &client->peer);
    stun_attribute(m, ATTRIBUTE_DATA, data, size);
    stun_end(m);
    return STUN_HEADER_BYTES + 12 + 4;
  }
  size_t header = traffic->flow == CHANNEL_UP ? 4 : 0;
  uint8_t channel_header[4] = {CHANNEL >> 8, CHANNEL & 255, (uint8_t)(size >> 8), (uint8_t)size};
  memcpy(m->bytes, channel_header, header);
  memcpy(m->bytes + header, data, size);
  m->length = header + size;
  return header;
}

/** Sends `count` packets of one client; returns how many the system took. */
static int send_burst(const bench_t *bench, const traffic_t *traffic, client_t *client, int count) {
  static message_t packets[BATCH];
  static struct mmsghdr headers[BATCH];
  static struct iovec parts[BATCH];
  int socket = client->socket;
  struct sockaddr_in *target = NULL;
  if (traffic->flow == CHANNEL_DOWN) socket = client->peer_socket, target = &client->relayed;
  if (traffic->flow == DATA_DOWN) socket = bench->unbound_peer, target = &client->relayed;
  if (traffic->flow == DIRECT) socket = bench->unbound_peer, target = &client->peer;
  for (int i = 0; i < count; i++) {
    size_t offset = compose(traffic, client, packets + i);
    if (traffic->delay) {
      int64_t time = real_ns();
      memcpy(packets[i].bytes + offset + STAMP_OFFSET, &time, sizeof time);
    }
    parts[i] = (struct iovec){packets[i].bytes, packets[i].length};
    headers[i].msg_hdr = (struct msghdr){.msg_iov = parts + i, .msg_iovlen = 1};
    if (target != NULL) headers[i].msg_hdr.msg_name = target, headers[i].msg_hdr.msg_namelen = sizeof *target;
  }
  int sent = sendmmsg(socket, headers, (unsigned)count, MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED) fail("sendmmsg: %s", strerror(errno));
  return sent < 0 ? 0 : sent;
}

/** Packets that our own receiving sockets had to drop: they arrived, and the fault is the generator's. */
static uint64_t own_drops(const bench_t *bench) {
  uint64_t drops = 0;
  for (int i = 0; i < bench->open; i++) {
    int sockets[2] = {bench->clients[i].socket, bench->clients[i].peer_socket};
    for (int s = 0; s < 2; s++) {
      uint32_t memory[16] = {0};
      socklen_t bytes = sizeof memory;
      // SK_MEMINFO_DROPS is the ninth number.
      if (getsockopt(sockets[s], SOL_SOCKET, SO_MEMINFO, memory, &bytes) == 0) drops += memory[8];
    }
  }
  return drops;
}

static int watch_receivers(const bench_t *bench, const traffic_t *traffic) {
  int poll = epoll_create1(EPOLL_CLOEXEC);
  bool to_client = traffic->flow == CHANNEL_DOWN || traffic->flow == DATA_DOWN;
  for (int i = 0; i < bench->open; i++) {
    int socket = to_client ? bench->clients[i].socket : bench->clients[i].peer_socket;
    int stamps = traffic->delay;
    setsockopt(socket, SOL_SOCKET, SO_TIMESTAMPNS, &stamps, sizeof stamps);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = socket};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, socket, &wanted) < 0) fail("epoll_ctl: %s", strerror(errno));
  }
  return poll;
}

void run_traffic(bench_t *bench, const traffic_t *traffic) {
  if (bench->open == 0 || bench->clients[0].peer_socket < 0) fail("there are no clients with peers");
  if (traffic->size < DATA_MIN_BYTES || traffic->size > DATA_MAX_BYTES) fail("size must be %d to %d", DATA_MIN_BYTES, DATA_MAX_BYTES);
  if (traffic->burst < 1 || traffic->burst > BATCH) fail("burst must be 1 to %d", BATCH);
  int poll = watch_receivers(bench, traffic);
  memset(delays, 0, sizeof delays);
  received = broken = 0;
  run_id++;

  uint64_t drops_before = own_drops(bench);
  int64_t server_cpu = process_cpu_ns(bench->server_pid), own_cpu = process_cpu_ns(getpid());
  int64_t start = now_ns(), end = start + traffic->milliseconds * 1000000ll, now = start, next_tick = start;
  uint64_t sent = 0, due = 0, skipped = 0;
  int turn = 0;
  while (now < end) {
    // Whole bursts only.
    due = (uint64_t)((double)(now - start) / 1e9 * traffic->rate) / (uint64_t)traffic->burst * (uint64_t)traffic->burst;
    uint64_t most = (uint64_t)((double)traffic->rate * CATCH_UP_NS / 1e9) + (uint64_t)traffic->burst;
    if (due - sent - skipped > most) skipped = due - sent - most;
    while (sent + skipped < due) {
      int took = send_burst(bench, traffic, bench->clients + turn, traffic->burst);
      sent += (uint64_t)took;
      skipped += (uint64_t)(traffic->burst - took);
      turn = (turn + 1) % bench->open;
    }
    receive_all(traffic, poll);
    next_tick += TICK_NS;
    now = now_ns();
    if (next_tick < now) next_tick = now;
    struct timespec until = {next_tick / 1000000000, next_tick % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    now = now_ns();
  }
  int64_t wall = now - start;
  for (int64_t last = now_ns(); now_ns() - last < QUIET_NS;) {
    if (receive_all(traffic, poll)) last = now_ns();
    usleep(1000);
  }
  server_cpu = process_cpu_ns(bench->server_pid) - server_cpu;
  own_cpu = process_cpu_ns(getpid()) - own_cpu;
  close(poll);

  printf("{\"sent\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"received\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"ownDrops\":%" PRIu64
         ",\"wallMs\":%.1f,\"serverCpuUs\":%.1f,\"ownCpuUs\":%.1f,\"p50Us\":%.1f,\"p99Us\":%.1f}\n",
         sent, skipped, received, broken, own_drops(bench) - drops_before, (double)wall / 1e6, (double)server_cpu / 1e3,
         (double)own_cpu / 1e3, percentile_us(0.5), percentile_us(0.99));
}
