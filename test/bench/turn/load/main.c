// Load generator of the TURN benchmark. Arguments: server ip and port, client ip, peer ip, username, realm, key in hex,
// pid of the server. Commands come line by line on standard input, each is answered with one line of JSON:
//   open <count> <window> <peers 0|1>      make allocations with a channel each
//   close <window>                         end them all
//   run <flow> <size> <packets/s> <ms> <burst> <delay 0|1>
//   calibrate <core>                       run a fixed piece of work there, and look for stalls
#include "load.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/** Bound of one run, so that a slip of the caller ends. */
#define RATE_MAX 2000000
#define FIRST_PORT 10000
#define CALIBRATION_STEPS 50000000
/** Time in which stalls are looked for, and the shortest that counts. */
#define STALLS_NS 1000000000
#define STALL_MIN_NS 100000
#define RECEIVE_BUFFER_BYTES (4 * 1024 * 1024)

_Noreturn void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("load generator: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

int64_t process_cpu_ns(int pid) {
  char path[320];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *tasks = opendir(path);
  if (tasks == NULL) fail("process %d is gone", pid);
  int64_t total = 0;
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, task->d_name);
    FILE *file = fopen(path, "r");
    long long ran;
    if (file == NULL) continue;
    if (fscanf(file, "%lld", &ran) == 1) total += ran;
    fclose(file);
  }
  closedir(tasks);
  return total;
}

int open_socket(const struct sockaddr_in *address, struct sockaddr_in *bound) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket: %s", strerror(errno));
  int bytes = RECEIVE_BUFFER_BYTES;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) < 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  socklen_t length = sizeof *address;
  if (bind(fd, (const struct sockaddr *)address, length) < 0) fail("bind: %s", strerror(errno));
  if (bound != NULL) getsockname(fd, (struct sockaddr *)bound, &length);
  return fd;
}

static struct sockaddr_in address_of(const char *ip, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, ip, &address.sin_addr) != 1) fail("%s is not an IPv4 address", ip);
  return address;
}

static void read_key(const char *hex, uint8_t key[16]) {
  for (int i = 0; i < 16; i++) {
    if (strlen(hex) != 32 || sscanf(hex + 2 * i, "%2hhx", key + i) != 1) fail("the key must be 32 hex digits");
  }
}

static void report_open(bench_t *bench, int count, int64_t start, int64_t cpu) {
  printf("{\"count\":%d,\"wallMs\":%.1f,\"serverCpuUs\":%.1f}\n", count, (double)(now_ns() - start) / 1e6,
         (double)(process_cpu_ns(bench->server_pid) - cpu) / 1e3);
}

/** The share of time in which this core did nothing for us for 0.1 ms and longer, though it was asked all the time. */
static double stalled_share(void) {
  int64_t start = now_ns(), stalled = 0;
  for (int64_t last = start, now; last - start < STALLS_NS; last = now) {
    now = now_ns();
    if (now - last > STALL_MIN_NS) stalled += now - last;
  }
  return (double)stalled / STALLS_NS;
}

/** The same work each time: its wall time tells what others took of the core, its processor time how fast the core is. */
static void calibrate(int core) {
  cpu_set_t own, target;
  sched_getaffinity(0, sizeof own, &own);
  CPU_ZERO(&target);
  CPU_SET((size_t)core, &target);
  if (sched_setaffinity(0, sizeof target, &target) < 0) fail("core %d: %s", core, strerror(errno));
  struct timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  int64_t start = now_ns(), cpu_start = cpu.tv_sec * 1000000000ll + cpu.tv_nsec;
  volatile uint32_t value = 1;
  for (int i = 0; i < CALIBRATION_STEPS; i++) value = value * 1664525 + 1013904223;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  double wall_us = (double)(now_ns() - start) / 1e3;
  printf("{\"wallUs\":%.1f,\"cpuUs\":%.1f,\"stalledShare\":%.5f}\n", wall_us,
         (double)(cpu.tv_sec * 1000000000ll + cpu.tv_nsec - cpu_start) / 1e3, stalled_share());
  sched_setaffinity(0, sizeof own, &own);
}

static void execute(bench_t *bench, const char *line) {
  int64_t start = now_ns(), cpu = process_cpu_ns(bench->server_pid);
  int count, window, peers, delay, core;
  char flow[16];
  traffic_t t;
  if (sscanf(line, "open %d %d %d", &count, &window, &peers) == 3) {
    open_clients(bench, count, window, peers != 0);
    report_open(bench, count, start, cpu);
  } else if (sscanf(line, "close %d", &window) == 1) {
    count = bench->open;
    close_clients(bench, window);
    report_open(bench, count, start, cpu);
  } else if (sscanf(line, "calibrate %d", &core) == 1) {
    calibrate(core);
  } else if (sscanf(line, "run %15s %d %d %d %d %d", flow, &t.size, &t.rate, &t.milliseconds, &t.burst, &delay) == 6) {
    static const char *flows[] = {"channel-up", "channel-down", "send-up", "data-down", "direct"};
    int known = 0;
    while (known < 5 && strcmp(flows[known], flow) != 0) known++;
    if (known == 5) fail("flow %s is unknown", flow);
    if (t.rate < 1 || t.rate > RATE_MAX || t.milliseconds < 1 || t.milliseconds > RUN_MAX_MS) fail("out of bounds: %s", line);
    t.flow = known;
    t.delay = delay != 0;
    run_traffic(bench, &t);
  } else {
    fail("unknown command: %s", line);
  }
}

int main(int count, char **arguments) {
  if (count != 9) fail("expected 8 arguments, got %d", count - 1);
  static bench_t bench;
  bench.server = address_of(arguments[1], arguments[2]);
  bench.local = address_of(arguments[3], "0");
  bench.peer = address_of(arguments[4], "0");
  bench.credentials.username = arguments[5];
  bench.credentials.realm = arguments[6];
  read_key(arguments[7], bench.credentials.key);
  bench.next_port = FIRST_PORT;
  bench.unbound_peer = open_socket(&bench.peer, &bench.unbound_address);
  bench.server_pid = atoi(arguments[8]);
  bench.clients = calloc(CLIENTS_MAX, sizeof *bench.clients);
  // Two sockets a client.
  struct rlimit files = {2 * CLIENTS_MAX + 64, 2 * CLIENTS_MAX + 64};
  if (setrlimit(RLIMIT_NOFILE, &files) < 0) {
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  // Sleeps end when they should, not up to 50 us later.
  prctl(PR_SET_TIMERSLACK, 1);
  setvbuf(stdout, NULL, _IOLBF, 0);
  char line[256];
  while (fgets(line, sizeof line, stdin) != NULL) execute(&bench, line);
  return 0;
}
