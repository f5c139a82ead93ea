/* SPDX-License-Identifier: ISC */
#include "poolwise/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Written with write(2): the log may itself need memory. abort() leaves a core that shows who asked. */
static _Noreturn void die(size_t size)
{
    char text[80];
    int n = snprintf(text, sizeof(text), "out of memory: cannot allocate %zu bytes\n", size);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)n);
    (void)ignored;
    abort();
}

void *pw_xmalloc(size_t size)
{
    void *p = malloc(size > 0 ? size : 1);
    if (p == NULL)
        die(size);
    return p;
}

void *pw_xcalloc(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (p == NULL)
        die(size != 0 && count > SIZE_MAX / size ? SIZE_MAX : count * size);
    return p;
}

void *pw_xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size > 0 ? size : 1);
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
    char *text;
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) /* no memory, or a length above INT_MAX */
        die(SIZE_MAX);
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
