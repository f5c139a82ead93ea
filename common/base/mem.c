/* SPDX-License-Identifier: ISC */
#include "poolwise/mem.h"

#include "poolwise/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* How long an allocation waits for memory: before the process ends, and before a library is told that there is none. */
#define TRIES 100
#define LIBRARY_TRIES 10
#define PAUSE_MS 10

static _Atomic(void *) reserve; /* NULL: given away; who exchanges it for NULL frees it */
static size_t reserve_size; /* 0: none wanted */

/* Written with write(2): the log may itself need memory. abort() leaves a core that shows who asked. */
static _Noreturn void die(size_t size)
{
    char text[200];
    int n = snprintf(text, sizeof(text),
                     "out of memory: cannot allocate %zu bytes, the process ends (hint: more memory or a higher limit, or a lower max_client_conn)\n", size);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)n);
    (void)ignored;
    pw_log_last_words(text, (size_t)n - 1);
    abort();
}

/* False: waited long enough. */
static bool wait_for_memory(unsigned tried, unsigned most)
{
    void *r = atomic_exchange(&reserve, NULL);
    if (r) {
        free(r);
        return true;
    }
    if (tried >= most)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    return true;
}

void pw_mem_reserve(size_t size)
{
    reserve_size = size;
    atomic_store(&reserve, malloc(size));
}

bool pw_mem_is_scarce(void)
{
    if (reserve_size == 0 || atomic_load_explicit(&reserve, memory_order_relaxed) != NULL)
        return false;
    void *again = malloc(reserve_size), *none = NULL;
    if (again == NULL)
        return true;
    if (!atomic_compare_exchange_strong(&reserve, &none, again))
        free(again); /* another thread was faster */
    return false;
}

/* NULL: waited long enough. */
static void *allocate(size_t size, unsigned most)
{
    void *p;
    for (unsigned i = 0; (p = malloc(size > 0 ? size : 1)) == NULL; i++)
        if (!wait_for_memory(i, most))
            return NULL;
    return p;
}

static void *reallocate(void *p, size_t size, unsigned most)
{
    void *q;
    for (unsigned i = 0; (q = realloc(p, size > 0 ? size : 1)) == NULL; i++)
        if (!wait_for_memory(i, most))
            return NULL;
    return q;
}

void *pw_library_malloc(size_t size)
{
    return allocate(size, LIBRARY_TRIES);
}

void *pw_library_realloc(void *p, size_t size)
{
    return reallocate(p, size, LIBRARY_TRIES);
}

void *pw_xmalloc(size_t size)
{
    void *p = allocate(size, TRIES);
    if (p == NULL)
        die(size);
    return p;
}

void *pw_xcalloc(size_t count, size_t size)
{
    void *p;
    for (unsigned i = 0; (p = calloc(count > 0 ? count : 1, size > 0 ? size : 1)) == NULL; i++)
        if ((size != 0 && count > SIZE_MAX / size) || !wait_for_memory(i, TRIES))
            die(size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return p;
}

void *pw_xaligned(size_t alignment, size_t size)
{
    void *p = NULL;
    for (unsigned i = 0; posix_memalign(&p, alignment, size) != 0; i++)
        if (!wait_for_memory(i, TRIES))
            die(size);
    return p;
}

void *pw_xrealloc(void *p, size_t size)
{
    void *q = reallocate(p, size, TRIES);
    if (q == NULL)
        die(size);
    return q;
}

char *pw_xstrdup(const char *s)
{
    return pw_xstrndup(s, strlen(s));
}

char *pw_xstrndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = pw_xmalloc(len + 1);
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *pw_xasprintf(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) /* a length above INT_MAX */
        die(SIZE_MAX);
    char *text = pw_xmalloc((size_t)n + 1);
    va_start(args, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

void pw_wipe(void *p, size_t size)
{
    if (p == NULL || size == 0)
        return;
    memset(p, 0, size);
    /* The compiler must assume that this reads the memory, so the memset stays. */
    __asm__ __volatile__("" : : "r"(p) : "memory");
}

void *pw_secret_alloc(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_DONTDUMP); /* a kernel that cannot leaves them in dumps, as malloc's memory */
    return p;
}

void pw_secret_free(void *p, size_t size)
{
    if (p == NULL)
        return;
    pw_wipe(p, size);
    (void)munmap(p, size);
}
