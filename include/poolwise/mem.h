/* SPDX-License-Identifier: ISC */
/* mem.h - allocation. When there is no memory the reserve is given away; when that is gone, too, the thread waits up to a second, for others give
 * theirs back. The x functions never return NULL: when the second is over the process ends with a message, on standard error
 * and in the log. Sizes that come from outside use malloc and are checked. Any thread. */
#ifndef POOLWISE_MEM_H
#define POOLWISE_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *pw_xmalloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
void *pw_xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1, 2)));
void *pw_xrealloc(void *p, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
void *pw_xaligned(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(2)));
char *pw_xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *pw_xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *pw_xasprintf(const char *fmt, ...) __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

/* For libraries that know what to do about NULL: it comes after a tenth of a second. */
void *pw_library_malloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *pw_library_realloc(void *p, size_t size) __attribute__((alloc_size(2)));

/* Sets bytes aside for when there is no memory. Once, before threads. */
void pw_mem_reserve(size_t size);
/* The reserve was needed and cannot be had again: no new work should be taken on. */
bool pw_mem_is_scarce(void);

/* Overwrites secrets so that the compiler cannot drop it, then nothing (the caller frees). */
void pw_wipe(void *p, size_t size);

/* Memory for keys: pages of its own, zeroed, left out of core dumps. At least a page each, so for few or large objects.
 * NULL: cannot be had. Free it with the same size; that wipes it. NULL is fine. */
void *pw_secret_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void pw_secret_free(void *p, size_t size);

#endif
