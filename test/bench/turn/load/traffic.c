#include "load.h"
#include <errno.h>
#include <inttypes.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/** Between two looks at what is due: as a network card would hand packets over in small groups. */
#define TICK_NS 100000
/** Each socket is read once in so many ticks: the fewer system calls this program makes, the less it is what is measured. */
#define TICKS_A_READ 10
/** What could not be sent in time within so long is given up, so that a stall does not become a flood. */
#define CATCH_UP_NS 5000000
/** The same where delays are measured: what comes late in a row would show a stall of this program as the server's delay. */
#define CATCH_UP_DELAY_NS 200000
/** After the last packet was sent, so long without a packet means that no more will come. */
#define QUIET_NS 100000000
#define BATCH 64
#define BURST_MAX 16
/** Bytes that are read of each packet: every header, and what a payload begins with. */
#define LOOK_BYTES 128
/** First bytes of every payload; as in RTP the top bits are 10, so that nothing takes it for STUN or ChannelData. */
#define MARK 0x80
#define STAMP_OFFSET 8
#define DATA_MIN_BYTES 16

/** Delays in 1/16 steps of each power of two, from nanoseconds to minutes. */
#define DELAY_SLOTS (40 * 16)
/** Delays are also told for the middle one of windows of this length, which the machine's own stalls mostly miss. */
#define WINDOW_NS 100000000
#define WINDOWS_MAX (RUN_MAX_MS / 100 + 1)

typedef uint64_t delays_t[DELAY_SLOTS];

/** What a client sends over and over: one packet, or a burst of equal ones behind each other. */
typedef struct {
  int socket;
  /** Where it goes when its socket is not connected there; NULL otherwise. */
  const struct sockaddr_in *target;
  uint8_t *bytes;
  size_t length;
  /** Where the first packet's payload begins. */
  size_t payload;
} outgoing_t;

static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];
static uint8_t buffers[BATCH][LOOK_BYTES];
static uint8_t control[BATCH][64];
static delays_t delays, window_delays;
static double window_p99_us[WINDOWS_MAX];
static int windows;
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

static double percentile_us(const delays_t delays, double share) {
  uint64_t total = 0, seen = 0;
  for (int i = 0; i < DELAY_SLOTS; i++) total += delays[i];
  for (int i = 0; i < DELAY_SLOTS; i++) {
    seen += delays[i];
    if (seen > 0 && seen >= share * (double)total) return slot_us(i);
  }
  return 0;
}

static void end_window(void) {
  if (windows < WINDOWS_MAX) window_p99_us[windows++] = percentile_us(window_delays, 0.99);
  for (int i = 0; i < DELAY_SLOTS; i++) delays[i] += window_delays[i];
  memset(window_delays, 0, sizeof window_delays);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double middle_window_p99_us(void) {
  qsort(window_p99_us, (size_t)windows, sizeof *window_p99_us, ascending);
  return windows == 0 ? 0 : window_p99_us[windows / 2];
}

static int64_t real_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

/** What a packet arrived as. */
typedef enum { RAW, IN_CHANNEL_DATA, IN_DATA_INDICATION } form_t;

/** The payload of a received packet (only LOOK_BYTES of which are there) with its size and form; NULL when it is nothing that we send. */
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
  return data != NULL && data + DATA_MIN_BYTES <= packet + LOOK_BYTES && *size >= DATA_MIN_BYTES && data[0] == MARK ? data : NULL;
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
    window_delays[delay_slot(delay > 0 ? (uint64_t)delay : 0)]++;
  }
}

static void prepare_receiving(void) {
  for (int i = 0; i < BATCH; i++) {
    vectors[i] = (struct iovec){buffers[i], LOOK_BYTES};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = vectors + i, .msg_iovlen = 1, .msg_control = control[i]};
  }
}

/** Receives what has arrived at a socket; true when something had. */
static bool receive_from(const traffic_t *traffic, int socket) {
  bool some = false;
  for (int count = BATCH; count == BATCH; some |= count > 0) {
    for (int i = 0; traffic->delay && i < BATCH; i++) messages[i].msg_hdr.msg_controllen = sizeof control[i];
    // With MSG_TRUNC the size of a packet is told though only its beginning is copied.
    count = recvmmsg(socket, messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    for (int i = 0; i < count; i++) {
      const uint8_t *data = judge(traffic, buffers[i], messages[i].msg_len);
      if (data != NULL && traffic->delay) record_delay(&messages[i].msg_hdr, data);
    }
  }
  return some;
}

/** The socket that the packets of a client arrive at. */
static int receiver_of(const bench_t *bench, const traffic_t *traffic, int client) {
  if (traffic->flow == DIRECT) return bench->unbound_peer;
  bool to_client = traffic->flow == CHANNEL_DOWN || traffic->flow == DATA_DOWN;
  return to_client ? bench->clients[client].socket : bench->clients[client].peer_socket;
}

/** Reads the sockets of every `step`th client from `first` on; true when something had arrived. */
static bool receive_some(const bench_t *bench, const traffic_t *traffic, int first, int step) {
  bool some = false;
  for (int i = first; i < bench->open; i += step) some |= receive_from(traffic, receiver_of(bench, traffic, i));
  return some;
}

/** Makes what `client` sends. */
static void compose(const bench_t *bench, const traffic_t *traffic, const client_t *client, outgoing_t *out) {
  uint8_t data[DATA_MAX_BYTES] = {MARK};
  memcpy(data + 4, &run_id, 4);
  size_t size = (size_t)traffic->size;
  message_t packet, *m = &packet;
  out->socket = traffic->flow == CHANNEL_UP || traffic->flow == SEND_UP ? client->socket : client->peer_socket;
  out->target = NULL;
  if (traffic->flow == DATA_DOWN) out->socket = bench->unbound_peer, out->target = &client->relayed;
  if (traffic->flow == DIRECT) out->target = &bench->unbound_address;
  out->payload = 0;
  if (traffic->flow == SEND_UP) {
    stun_begin(m, TYPE_SEND, client->transaction);
    stun_xor_address(m, ATTRIBUTE_XOR_PEER_ADDRESS, &client->peer);
    stun_attribute(m, ATTRIBUTE_DATA, data, size);
    stun_end(m);
    out->payload = STUN_HEADER_BYTES + 12 + 4;
  } else {
    uint8_t channel_header[4] = {CHANNEL >> 8, CHANNEL & 255, (uint8_t)(size >> 8), (uint8_t)size};
    if (traffic->flow == CHANNEL_UP) out->payload = sizeof channel_header;
    memcpy(m->bytes, channel_header, out->payload);
    memcpy(m->bytes + out->payload, data, size);
    m->length = out->payload + size;
  }
  out->length = m->length * (size_t)traffic->burst;
  out->bytes = malloc(out->length);
  for (int i = 0; i < traffic->burst; i++) memcpy(out->bytes + (size_t)i * m->length, m->bytes, m->length);
  int segment = traffic->burst > 1 ? (int)m->length : 0;
  if (setsockopt(out->socket, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) < 0) fail("UDP_SEGMENT: %s", strerror(errno));
}

/** Sends a packet or burst; false when the system did not take it. */
static bool transmit(const outgoing_t *out, bool stamped) {
  if (stamped) {
    int64_t time = real_ns();
    memcpy(out->bytes + out->payload + STAMP_OFFSET, &time, sizeof time);
  }
  ssize_t sent = sendto(out->socket, out->bytes, out->length, MSG_DONTWAIT, (const struct sockaddr *)out->target,
                        out->target == NULL ? 0 : sizeof *out->target);
  if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED) fail("sendto: %s", strerror(errno));
  return sent >= 0;
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

void run_traffic(bench_t *bench, const traffic_t *traffic) {
  if (bench->open == 0 || bench->clients[0].peer_socket < 0) fail("there are no clients with peers");
  if (traffic->size < DATA_MIN_BYTES || traffic->size > DATA_MAX_BYTES) fail("size must be %d to %d", DATA_MIN_BYTES, DATA_MAX_BYTES);
  if (traffic->burst < 1 || traffic->burst > BURST_MAX) fail("burst must be 1 to %d", BURST_MAX);
  if (traffic->delay && traffic->burst > 1) fail("delay is measured for single packets");
  run_id++;
  outgoing_t *packets = calloc((size_t)bench->open, sizeof *packets);
  for (int i = 0; i < bench->open; i++) {
    compose(bench, traffic, bench->clients + i, packets + i);
    int stamps = traffic->delay;
    setsockopt(receiver_of(bench, traffic, i), SOL_SOCKET, SO_TIMESTAMPNS, &stamps, sizeof stamps);
  }
  prepare_receiving();
  memset(delays, 0, sizeof delays);
  memset(window_delays, 0, sizeof window_delays);
  windows = 0;
  received = broken = 0;

  uint64_t drops_before = own_drops(bench);
  int64_t server_cpu = process_cpu_ns(bench->server_pid), own_cpu = process_cpu_ns(getpid());
  int64_t start = now_ns(), end = start + traffic->milliseconds * 1000000ll, now = start, next_tick = start, next_window = start + WINDOW_NS;
  uint64_t sent = 0, skipped = 0, burst = (uint64_t)traffic->burst;
  int turn = 0, tick = 0;
  while (now < end) {
    // Whole bursts only.
    uint64_t due = (uint64_t)((double)(now - start) / 1e9 * traffic->rate) / burst * burst;
    uint64_t most = (uint64_t)((double)traffic->rate * (traffic->delay ? CATCH_UP_DELAY_NS : CATCH_UP_NS) / 1e9) + burst;
    if (due - sent - skipped > most) skipped = due - sent - most;
    while (sent + skipped < due) {
      if (transmit(packets + turn, traffic->delay)) sent += burst;
      else skipped += burst;
      turn = (turn + 1) % bench->open;
    }
    receive_some(bench, traffic, tick, TICKS_A_READ);
    tick = (tick + 1) % TICKS_A_READ;
    if (now >= next_window) {
      end_window();
      next_window += WINDOW_NS;
    }
    next_tick += TICK_NS;
    now = now_ns();
    if (next_tick < now) next_tick = now;
    struct timespec until = {next_tick / 1000000000, next_tick % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    now = now_ns();
  }
  int64_t wall = now - start;
  for (int64_t last = now_ns(); now_ns() - last < QUIET_NS;) {
    if (receive_some(bench, traffic, 0, 1)) last = now_ns();
    usleep(1000);
  }
  end_window();
  server_cpu = process_cpu_ns(bench->server_pid) - server_cpu;
  own_cpu = process_cpu_ns(getpid()) - own_cpu;
  for (int i = 0; i < bench->open; i++) free(packets[i].bytes);
  free(packets);

  printf("{\"sent\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"received\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"ownDrops\":%" PRIu64
         ",\"wallMs\":%.1f,\"serverCpuUs\":%.1f,\"ownCpuUs\":%.1f,\"p50Us\":%.1f,\"p99Us\":%.1f,\"windowP99Us\":%.1f}\n",
         sent, skipped, received, broken, own_drops(bench) - drops_before, (double)wall / 1e6, (double)server_cpu / 1e3,
         (double)own_cpu / 1e3, percentile_us(delays, 0.5), percentile_us(delays, 0.99), middle_window_p99_us());
}
