// A piece of network between two interfaces: every frame comes out at the other one after the delay, or is lost.
// wire <interface> <interface>, then lines "<delay in ms> <loss in percent>" on standard input; ends with the input.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_BYTES = 2048, QUEUE_FRAMES = 8192, BATCH = 64 };

struct frame {
  double due;
  int out;
  int length;
  unsigned char bytes[FRAME_BYTES];
};

static struct frame queue[QUEUE_FRAMES];
static unsigned head, tail;
static double delay_sec, loss;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static int open_interface(const char *name) {
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(name)};
  int size = 4 << 20;
  int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  if (fd < 0 || address.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    perror(name);
    exit(1);
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

static void take(int in, int out) {
  for (int i = 0; i < BATCH; i++) {
    struct frame *frame = &queue[tail % QUEUE_FRAMES];
    struct sockaddr_ll from;
    socklen_t from_length = sizeof from;
    int length = recvfrom(in, frame->bytes, FRAME_BYTES, 0, (struct sockaddr *)&from, &from_length);
    if (length < 0) return;
    if (from.sll_pkttype == PACKET_OUTGOING || drand48() * 100 < loss || tail - head == QUEUE_FRAMES - 1) continue;
    frame->due = now() + delay_sec;
    frame->out = out;
    frame->length = length;
    tail++;
  }
}

static void give(void) {
  for (double t = now(); head != tail && queue[head % QUEUE_FRAMES].due <= t; head++) {
    struct frame *frame = &queue[head % QUEUE_FRAMES];
    if (send(frame->out, frame->bytes, frame->length, 0) < 0 && errno != ENOBUFS && errno != EAGAIN) perror("send");
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  srand48(getpid());
  int a = open_interface(argv[1]), b = open_interface(argv[2]);
  struct pollfd fds[] = {{a, POLLIN, 0}, {b, POLLIN, 0}, {0, POLLIN, 0}};
  for (;;) {
    struct timespec wait = {0, 0};
    if (head != tail) {
      double left = queue[head % QUEUE_FRAMES].due - now();
      if (left > 0) wait = (struct timespec){(time_t)left, (long)((left - (time_t)left) * 1e9)};
    }
    if (ppoll(fds, 3, head == tail ? NULL : &wait, NULL) < 0) return 1;
    if (fds[2].revents) {
      char line[64];
      int length = read(0, line, sizeof line - 1);
      if (length <= 0) return 0;
      line[length] = 0;
      double milliseconds;
      if (sscanf(line, "%lf %lf", &milliseconds, &loss) == 2) delay_sec = milliseconds / 1e3;
    }
    if (fds[0].revents) take(a, b);
    if (fds[1].revents) take(b, a);
    give();
  }
}
