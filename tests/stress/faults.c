/* SPDX-License-Identifier: ISC */
/* faults.c - a library for LD_PRELOAD that makes one kind of call fail, as whoever writes the shared file says.
 *
 * The file named by FAULTS_FILE (40 bytes, made by the caller) holds a Fault. The calls that fail are those numbered skip to
 * skip + times - 1 since `seen` was last set to 0. What glibc calls inside itself is not seen. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* The same order as CALLS in faults.py. */
enum { NONE, MEMORY, ACCEPT, SOCKET, CONNECT, SEND, RECV, SENDMSG, RECVMSG, EPOLL_CTL, EPOLL_WAIT, SETSOCKOPT, FCNTL, OPEN, WRITE, READ, RENAME,
       SHUTDOWN, RANDOM, URING, CLOCK, GETSOCKOPT, GETSOCKNAME, PIPE, BLOCK };

typedef struct Fault {
    _Atomic(int32_t) call, error; /* error 0: writes and sends are short, reads one byte; of CLOCK: seconds that are added */
    _Atomic(int64_t) skip, times, seen, hits;
} Fault;

static Fault none, *fault = &none;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULTS_FILE");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof(Fault), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED)
        fault = shared;
}

static bool strikes(int call)
{
    if (atomic_load_explicit(&fault->call, memory_order_relaxed) != call)
        return false;
    int64_t n = atomic_fetch_add(&fault->seen, 1), skip = atomic_load(&fault->skip);
    if (n < skip || n - skip >= atomic_load(&fault->times))
        return false;
    atomic_fetch_add(&fault->hits, 1);
    return true;
}

static int told(void)
{
    return atomic_load(&fault->error);
}

/* The real function; its name is that of the caller. */
#define REAL(type) \
    static __typeof__(type) real; \
    if (!real) { \
        void *found = dlsym(RTLD_NEXT, __func__); \
        memcpy(&real, &found, sizeof(real)); \
    }

#define LARGE (1024 * 1024) /* from here on an allocation is a BLOCK */

#define FAIL(call, value) \
    if (strikes(call)) { \
        errno = told(); \
        return value; \
    }

/* ---- memory ---- */

static char early[65536]; /* for dlsym, before there is a real function */
static size_t early_used;
static volatile bool looking; /* at the start, when there is one thread; volatile: dlsym is declared not to come back here */

static void *from_early(size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (n > sizeof(early) - early_used)
        abort();
    void *p = early + early_used;
    early_used += n;
    return p;
}

static bool is_early(const void *p)
{
    return (const char *)p >= early && (const char *)p < early + sizeof(early);
}

#define REAL_MEMORY(type, otherwise) \
    static __typeof__(type) real; \
    if (!real) { \
        if (looking) \
            return otherwise; \
        looking = true; \
        void *found = dlsym(RTLD_NEXT, __func__); \
        memcpy(&real, &found, sizeof(real)); \
        looking = false; \
        if (!real) /* a sanitizer that is not ready */ \
            return otherwise; \
    }

void *malloc(size_t n)
{
    REAL_MEMORY(void *(*)(size_t), from_early(n))
    FAIL(n < LARGE ? MEMORY : BLOCK, NULL)
    return real(n);
}

void *calloc(size_t n, size_t size)
{
    REAL_MEMORY(void *(*)(size_t, size_t), from_early(n * size))
    FAIL(MEMORY, NULL)
    return real(n, size);
}

void *realloc(void *p, size_t n)
{
    REAL_MEMORY(void *(*)(void *, size_t), from_early(n))
    if (is_early(p)) {
        void *q = malloc(n);
        if (q)
            memcpy(q, p, n < (size_t)(early + sizeof(early) - (char *)p) ? n : (size_t)(early + sizeof(early) - (char *)p));
        return q;
    }
    FAIL(MEMORY, NULL)
    return real(p, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
    REAL(int (*)(void **, size_t, size_t))
    if (strikes(MEMORY))
        return ENOMEM;
    return real(ret, align, n);
}

void free(void *p)
{
    static void (*real)(void *);
    if (is_early(p))
        return;
    if (!real) {
        if (looking)
            return; /* a few bytes, once */
        looking = true;
        void *found = dlsym(RTLD_NEXT, "free");
        memcpy(&real, &found, sizeof(real));
        looking = false;
    }
    if (real)
        real(p);
}

/* ---- sockets ---- */

int accept4(int fd, struct sockaddr *restrict a, socklen_t *restrict n, int flags)
{
    REAL(int (*)(int, struct sockaddr *, socklen_t *, int))
    FAIL(ACCEPT, -1)
    return real(fd, a, n, flags);
}

int socket(int domain, int type, int protocol)
{
    REAL(int (*)(int, int, int))
    FAIL(SOCKET, -1)
    return real(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *a, socklen_t n)
{
    REAL(int (*)(int, const struct sockaddr *, socklen_t))
    FAIL(CONNECT, -1)
    return real(fd, a, n);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    REAL(ssize_t (*)(int, const void *, size_t, int))
    if (strikes(SEND)) {
        if (!told())
            return real(fd, p, n > 1 ? n / 2 : n, flags);
        errno = told();
        return -1;
    }
    return real(fd, p, n, flags);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    REAL(ssize_t (*)(int, void *, size_t, int))
    if (strikes(RECV)) {
        if (!told())
            return real(fd, p, 1, flags);
        errno = told();
        return -1;
    }
    return real(fd, p, n, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    REAL(ssize_t (*)(int, const struct msghdr *, int))
    FAIL(SENDMSG, -1)
    return real(fd, m, flags);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    REAL(ssize_t (*)(int, struct msghdr *, int))
    FAIL(RECVMSG, -1)
    return real(fd, m, flags);
}

int setsockopt(int fd, int level, int name, const void *p, socklen_t n)
{
    REAL(int (*)(int, int, int, const void *, socklen_t))
    FAIL(SETSOCKOPT, -1)
    return real(fd, level, name, p, n);
}

int getsockopt(int fd, int level, int name, void *restrict p, socklen_t *restrict n)
{
    REAL(int (*)(int, int, int, void *, socklen_t *))
    FAIL(GETSOCKOPT, -1)
    return real(fd, level, name, p, n);
}

int getsockname(int fd, struct sockaddr *restrict a, socklen_t *restrict n)
{
    REAL(int (*)(int, struct sockaddr *, socklen_t *))
    FAIL(GETSOCKNAME, -1)
    return real(fd, a, n);
}

int pipe2(int fds[2], int flags)
{
    REAL(int (*)(int *, int))
    FAIL(PIPE, -1)
    return real(fds, flags);
}

int pipe(int fds[2])
{
    REAL(int (*)(int *))
    FAIL(PIPE, -1)
    return real(fds);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    REAL(int (*)(int, int, int, int *))
    FAIL(PIPE, -1)
    return real(domain, type, protocol, fds);
}

int shutdown(int fd, int how)
{
    REAL(int (*)(int, int))
    FAIL(SHUTDOWN, -1)
    return real(fd, how);
}

long syscall(long number, ...)
{
    REAL(long (*)(long, ...))
    va_list args;
    va_start(args, number);
    long a = va_arg(args, long), b = va_arg(args, long), c = va_arg(args, long), d = va_arg(args, long), e = va_arg(args, long),
         f = va_arg(args, long);
    va_end(args);
    int call = number == SYS_recvfrom ? RECV : number == SYS_sendto ? SEND : NONE;
    if (call != NONE && strikes(call)) {
        if (!told())
            return real(number, a, b, call == RECV ? 1 : c > 1 ? c / 2 : c, d, e, f);
        errno = told();
        return -1;
    }
    return real(number, a, b, c, d, e, f);
}

/* ---- the loop ---- */

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    REAL(int (*)(int, int, int, struct epoll_event *))
    if (op != EPOLL_CTL_DEL) { /* which cannot fail for want of anything */
        FAIL(EPOLL_CTL, -1)
    }
    return real(epfd, op, fd, event);
}

int epoll_wait(int epfd, struct epoll_event *events, int n, int timeout)
{
    REAL(int (*)(int, struct epoll_event *, int, int))
    FAIL(EPOLL_WAIT, -1)
    return real(epfd, events, n, timeout);
}

int io_uring_submit_and_wait(void *ring, unsigned n);
int io_uring_submit_and_wait(void *ring, unsigned n)
{
    REAL(int (*)(void *, unsigned))
    if (strikes(URING))
        return -told();
    return real(ring, n);
}

/* ---- files ---- */

int fcntl64(int fd, int command, ...);
int fcntl64(int fd, int command, ...)
{
    REAL(int (*)(int, int, ...))
    va_list args;
    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);
    FAIL(FCNTL, -1)
    return real(fd, command, arg);
}

int open64(const char *path, int flags, ...)
{
    REAL(int (*)(const char *, int, ...))
    va_list args;
    va_start(args, flags);
    unsigned mode = va_arg(args, unsigned);
    va_end(args);
    FAIL(OPEN, -1)
    return real(path, flags, mode);
}

ssize_t write(int fd, const void *p, size_t n)
{
    REAL(ssize_t (*)(int, const void *, size_t))
    if (strikes(WRITE)) {
        if (!told())
            return real(fd, p, n > 1 ? n / 2 : n);
        errno = told();
        return -1;
    }
    return real(fd, p, n);
}

ssize_t read(int fd, void *p, size_t n)
{
    REAL(ssize_t (*)(int, void *, size_t))
    FAIL(READ, -1)
    return real(fd, p, n);
}

int rename(const char *from, const char *to)
{
    REAL(int (*)(const char *, const char *))
    FAIL(RENAME, -1)
    return real(from, to);
}

/* ---- others ---- */

int RAND_bytes(unsigned char *p, int n);
int RAND_bytes(unsigned char *p, int n)
{
    REAL(int (*)(unsigned char *, int))
    if (strikes(RANDOM))
        return 0;
    return real(p, n);
}

int clock_gettime(clockid_t which, struct timespec *ret)
{
    REAL(int (*)(clockid_t, struct timespec *))
    int rc = real(which, ret);
    if (which == CLOCK_REALTIME && strikes(CLOCK))
        ret->tv_sec += told();
    return rc;
}
