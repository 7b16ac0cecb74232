/*
 * The other end of the benchmark, in C so that it is never what is waited for: a thread for each
 * connection, bodies that stand ready in memory, one write for a small answer, and on Linux uploads
 * that are dropped without being copied. It prints its port and runs until its input ends. Built with
 * -DTLS and OpenSSL, `server CERTIFICATE KEY` talks TLS.
 *
 *   GET /bytes/N       N bytes by length            GET /lines/N    N bytes of 60-byte lines by length
 *   GET /chunked/N/S   N bytes in chunks of S       GET /fields/N   1024 bytes behind N header fields
 *   GET /close/N       N bytes, and then closes     GET /cpu        the microseconds of CPU it has used
 *   any other method   takes a body by length or chunked, and answers with its size
 */
#ifdef __linux__
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_SIZE 65536
#define OUT_SIZE 65536
#define BATCH 262144
#define STACK 262144
#define LINE 60

#ifdef TLS
#include <openssl/ssl.h>
static SSL_CTX *context;
#endif

static char zeros[BATCH];
static char lines[BATCH / LINE * LINE];

struct conn {
  int fd;
#ifdef TLS
  SSL *ssl;
#endif
  char in[IN_SIZE + 1];
  size_t start, end;
  size_t ahead; /* how much to read at once where something is looked for */
  char out[OUT_SIZE];
  size_t used;
};

static ssize_t receive(struct conn *c, char *to, size_t size) {
#ifdef TLS
  if (c->ssl != NULL) return SSL_read(c->ssl, to, (int)size);
#endif
  return read(c->fd, to, size);
}

static ssize_t transmit(struct conn *c, const char *from, size_t size) {
#ifdef TLS
  if (c->ssl != NULL) return SSL_write(c->ssl, from, (int)size);
#endif
  return write(c->fd, from, size);
}

/* Reads what is to be dropped: without a copy where that can be done. */
static ssize_t discard(struct conn *c, size_t size) {
#ifdef __linux__
  int plain = 1;
#ifdef TLS
  plain = c->ssl == NULL;
#endif
  if (plain && size > IN_SIZE) return recv(c->fd, NULL, size, MSG_TRUNC);
#endif
  return receive(c, c->in, size < IN_SIZE ? size : IN_SIZE);
}

/* Writes all of it; 0 where the peer is gone. */
static int write_all(struct conn *c, const char *data, size_t size) {
  while (size > 0) {
    ssize_t count = transmit(c, data, size);
    if (count <= 0) return 0;
    data += count;
    size -= (size_t)count;
  }
  return 1;
}

static int flush(struct conn *c) {
  int sent = write_all(c, c->out, c->used);
  c->used = 0;
  return sent;
}

/* Reads once behind what is buffered; 0 at the end. */
static int fill(struct conn *c) {
  if (c->start == c->end) c->start = c->end = 0;
  if (c->end == IN_SIZE) {
    memmove(c->in, c->in + c->start, c->end - c->start);
    c->end -= c->start;
    c->start = 0;
  }
  if (c->end == IN_SIZE) return 0;
  size_t room = IN_SIZE - c->end;
  ssize_t count = receive(c, c->in + c->end, room < c->ahead ? room : c->ahead);
  if (count <= 0) return 0;
  c->end += (size_t)count;
  c->in[c->end] = 0;
  return 1;
}

/* Drops `size` bytes of what the peer sends. */
static int skip(struct conn *c, size_t size) {
  size_t ready = c->end - c->start;
  if (ready >= size) {
    c->start += size;
    return 1;
  }
  c->start = c->end = 0;
  for (size -= ready; size > 0;) {
    ssize_t count = discard(c, size);
    if (count <= 0) return 0;
    size -= (size_t)count;
  }
  return 1;
}

/* Finds `what`, reading on where it is not there yet, and gives where it stands. */
static char *find(struct conn *c, const char *what) {
  for (;;) {
    char *found = c->start < c->end ? strstr(c->in + c->start, what) : NULL;
    if (found != NULL) return found;
    if (!fill(c)) return NULL;
  }
}

/* The next size line of big chunks is read alone: what follows it can be dropped without a copy. */
static int drop_chunks(struct conn *c, size_t *total) {
  for (;;) {
    char *end = find(c, "\r\n");
    if (end == NULL) return 0;
    size_t size = strtoul(c->in + c->start, NULL, 16);
    c->start = (size_t)(end - c->in) + 2;
    *total += size;
    c->ahead = size > 8192 ? 64 : IN_SIZE;
    if (!skip(c, size + 2)) return 0;
    if (size == 0) return 1;
  }
}

/* The value of a field of the head that ends at `end`, or NULL. */
static const char *field(const char *head, const char *end, const char *name) {
  size_t length = strlen(name);
  for (const char *at = strstr(head, "\r\n"); at != NULL && at < end; at = strstr(at + 2, "\r\n")) {
    if (strncasecmp(at + 2, name, length) == 0 && at[2 + length] == ':') {
      at += 3 + length;
      return at + strspn(at, " ");
    }
  }
  return NULL;
}

static void head(struct conn *c, const char *framing, size_t size, int fields) {
  c->used += (size_t)snprintf(c->out + c->used, OUT_SIZE - c->used,
                              "HTTP/1.1 200 OK\r\n"
                              "Server: bench\r\n"
                              "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                              "Content-Type: application/octet-stream\r\n"
                              "Cache-Control: no-store\r\n"
                              "ETag: \"0123456789abcdef\"\r\n");
  for (int i = 6; i < fields; i++)
    c->used += (size_t)snprintf(c->out + c->used, OUT_SIZE - c->used,
                                "X-Field-Number-%d: the value of field %d\r\n", i, i);
  c->used += (size_t)snprintf(c->out + c->used, OUT_SIZE - c->used, framing, size);
}

/* A body of the bytes of `from` over and over; a small one goes out with its head. */
static int send_body(struct conn *c, size_t size, const char *from, size_t batch) {
  if (c->used + size <= OUT_SIZE) {
    memcpy(c->out + c->used, from, size);
    c->used += size;
    return flush(c);
  }
  if (!flush(c)) return 0;
  for (; size > batch; size -= batch)
    if (!write_all(c, from, batch)) return 0;
  return write_all(c, from, size);
}

/* Whole chunks are put side by side once and then sent over and over. */
static int send_chunked(struct conn *c, size_t size, size_t chunk) {
  char line[32];
  size_t digits = (size_t)snprintf(line, sizeof line, "%zx\r\n", chunk), each = digits + chunk + 2;
  size_t count = each > BATCH ? 1 : BATCH / each;
  char *batch = malloc(count * each);
  if (batch == NULL) return 0;
  for (size_t i = 0; i < count; i++) {
    memcpy(batch + i * each, line, digits);
    memset(batch + i * each + digits, 0, chunk);
    memcpy(batch + (i + 1) * each - 2, "\r\n", 2);
  }
  int sent = flush(c);
  size_t left = size / chunk;
  for (; sent && left > count; left -= count) sent = write_all(c, batch, count * each);
  sent = sent && write_all(c, batch, left * each);
  free(batch);
  if (!sent) return 0;
  size_t rest = size % chunk;
  if (rest > 0) {
    c->used += (size_t)snprintf(c->out, OUT_SIZE, "%zx\r\n", rest);
    if (!flush(c) || !write_all(c, zeros, rest) || !write_all(c, "\r\n", 2)) return 0;
  }
  return write_all(c, "0\r\n\r\n", 5);
}

static int send_number(struct conn *c, size_t number) {
  char text[32];
  size_t size = (size_t)snprintf(text, sizeof text, "%zu", number);
  head(c, "Content-Length: %zu\r\n\r\n", size, 0);
  return send_body(c, size, text, size);
}

static size_t cpu(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return (size_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
         (size_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static int answer(struct conn *c, const char *path) {
  size_t size = 0, more = 0;
  c->used = 0;
  if (strncmp(path, "/cpu", 4) == 0) return send_number(c, cpu());
  if (sscanf(path, "/bytes/%zu", &size) == 1) {
    head(c, "Content-Length: %zu\r\n\r\n", size, 0);
    return send_body(c, size, zeros, sizeof zeros);
  }
  if (sscanf(path, "/chunked/%zu/%zu", &size, &more) == 2 && more > 0 && more <= BATCH) {
    head(c, "Transfer-Encoding: chunked\r\n\r\n", 0, 0);
    return send_chunked(c, size, more);
  }
  if (sscanf(path, "/lines/%zu", &size) == 1) {
    head(c, "Content-Length: %zu\r\n\r\n", size, 0);
    return send_body(c, size, lines, sizeof lines);
  }
  if (sscanf(path, "/json/%zu", &size) == 1 && size >= 2 && size <= OUT_SIZE / 2) {
    head(c, "Content-Length: %zu\r\n\r\n", size, 0);
    memset(c->out + c->used, 'x', size);
    c->out[c->used] = c->out[c->used + size - 1] = '"';
    c->used += size;
    return flush(c);
  }
  if (sscanf(path, "/fields/%zu", &size) == 1 && size <= 500) {
    head(c, "Content-Length: %zu\r\n\r\n", 1024, (int)size - 1);
    return send_body(c, 1024, zeros, sizeof zeros);
  }
  if (sscanf(path, "/close/%zu", &size) == 1) {
    head(c, "Connection: close\r\nContent-Length: %zu\r\n\r\n", size, 0);
    send_body(c, size, zeros, sizeof zeros);
  }
  return 0;
}

/* Sends a body back while it comes. */
static int echo(struct conn *c, size_t size) {
  c->used = 0;
  head(c, "Content-Length: %zu\r\n\r\n", size, 0);
  if (!flush(c)) return 0;
  while (size > 0) {
    if (c->start == c->end && !fill(c)) return 0;
    size_t ready = c->end - c->start;
    if (ready > size) ready = size;
    if (!write_all(c, c->in + c->start, ready)) return 0;
    c->start += ready;
    size -= ready;
  }
  return 1;
}

/* Takes one request; 0 where there is none to follow. */
static int serve_one(struct conn *c) {
  char *end = find(c, "\r\n\r\n");
  if (end == NULL) return 0;
  const char *start = c->in + c->start;
  char path[128];
  if (strncmp(start, "GET ", 4) == 0) {
    snprintf(path, sizeof path, "%.*s", (int)strcspn(start + 4, " "), start + 4);
    c->start = (size_t)(end - c->in) + 4;
    return answer(c, path);
  }
  int echoes = strncmp(start, "POST /echo ", 11) == 0;
  const char *length = field(start, end, "Content-Length");
  const char *coding = field(start, end, "Transfer-Encoding");
  size_t size = length == NULL ? 0 : strtoul(length, NULL, 10);
  c->start = (size_t)(end - c->in) + 4;
  if (echoes) return echo(c, size);
  if (coding == NULL ? !skip(c, size) : !drop_chunks(c, &size)) return 0;
  c->used = 0;
  return send_number(c, size);
}

static void *serve(void *at) {
  struct conn *c = at;
  int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef TLS
  c->ssl = NULL;
  if (context != NULL) {
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_accept(c->ssl) != 1) goto end;
  }
#endif
  while (serve_one(c));
#ifdef TLS
  if (c->ssl != NULL) SSL_shutdown(c->ssl);
end:
  SSL_free(c->ssl);
#endif
  close(c->fd);
  free(c);
  return NULL;
}

static void *accept_all(void *at) {
  pthread_attr_t attr;
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  for (;;) {
    int fd = accept(*(int *)at, NULL, NULL);
    if (fd < 0) continue;
    struct conn *c = malloc(sizeof *c);
    pthread_t thread;
    if (c != NULL) {
      c->fd = fd;
      c->start = c->end = c->used = 0;
      c->ahead = IN_SIZE;
      c->in[0] = 0;
      if (pthread_create(&thread, &attr, serve, c) == 0) continue;
    }
    free(c);
    close(fd);
  }
  return NULL;
}

static int listening(int *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0) return -1;
  if (listen(fd, 4096) != 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0) return -1;
  *port = ntohs(address.sin_port);
  return fd;
}

int main(int count, char **args) {
#ifdef TLS
  if (count == 3) {
    context = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context, args[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, args[2], SSL_FILETYPE_PEM) != 1)
      return 1;
  }
#else
  (void)args;
  if (count > 1) return 1;
#endif
  int port;
  int fd = listening(&port);
  if (fd < 0) return 1;
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  for (size_t i = 0; i < sizeof lines; i++) lines[i] = i % LINE == LINE - 1 ? '\n' : 'x';
  pthread_t thread;
  if (pthread_create(&thread, NULL, accept_all, &fd) != 0) return 1;
  printf("%d\n", port);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0);
  return 0;
}
