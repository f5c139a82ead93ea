/* SPDX-License-Identifier: ISC */
/* heapcount.c - a library for LD_PRELOAD that counts the live bytes of a process's heap, the C library's overhead included.
 *
 * The file named by HEAPCOUNT_FILE (16 bytes, made by the caller) holds two numbers: live bytes, live blocks. They are
 * always up to date; whoever reads them disturbs nothing. */
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);

#define HEADER 8 /* of each block, in front of what malloc_usable_size tells */

static _Atomic(int64_t) before_main[2], *counts = before_main;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("HEAPCOUNT_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *shared = mmap(NULL, sizeof(before_main), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared != MAP_FAILED)
        counts = shared; /* what was counted before stays out: differences are looked at */
}

static void *add(void *p)
{
    if (p) {
        atomic_fetch_add_explicit(&counts[0], (int64_t)malloc_usable_size(p) + HEADER, memory_order_relaxed);
        atomic_fetch_add_explicit(&counts[1], 1, memory_order_relaxed);
    }
    return p;
}

static void take_off(void *p)
{
    if (!p)
        return;
    atomic_fetch_sub_explicit(&counts[0], (int64_t)malloc_usable_size(p) + HEADER, memory_order_relaxed);
    atomic_fetch_sub_explicit(&counts[1], 1, memory_order_relaxed);
}

void *malloc(size_t n)
{
    return add(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
    return add(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
    take_off(p);
    return add(__libc_realloc(p, n)); /* one that fails is no longer counted: nothing that is measured lives on after it */
}

void *memalign(size_t align, size_t n)
{
    return add(__libc_memalign(align, n));
}

void *aligned_alloc(size_t align, size_t n)
{
    return memalign(align, n);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
    *ret = memalign(align, n);
    return *ret ? 0 : 12; /* ENOMEM */
}

void free(void *p)
{
    take_off(p);
    __libc_free(p);
}
