/* SPDX-License-Identifier: ISC */
#include "pooler/net/libraries.h"

#include <ares.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "poolwise/log.h"
#include "poolwise/mem.h"

static void (*end_process)(void);

static void on_event_log(int severity, const char *text)
{
    int saved = errno; /* callers of libevent look at it */
    /* Warnings: whoever called gets an error and says what it means. */
    pw_log(severity == EVENT_LOG_ERR ? PW_LOG_ERROR : PW_LOG_DEBUG, "libevent: %s", text);
    errno = saved;
}

static void on_event_fatal(int status)
{
    (void)status;
    pw_log(PW_LOG_FATAL, "the event loops cannot work, the process ends (hint: if descriptors are missing, raise the limit of open files)");
    end_process();
    abort();
}

static void *crypto_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return pw_library_malloc(n);
}

static void *crypto_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    if (n == 0) {
        free(p);
        return NULL;
    }
    return pw_library_realloc(p, n);
}

static void crypto_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

void net_libraries_prepare(void (*end)(void))
{
    end_process = end;
    event_set_mem_functions(pw_xmalloc, pw_xrealloc, free); /* a timer that could not be set again would be gone without a word */
    event_set_log_callback(on_event_log);
    event_set_fatal_callback(on_event_fatal);
    (void)CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free); /* refused when it comes too late: then OpenSSL uses malloc */
    (void)ares_library_init_mem(ARES_LIB_INIT_ALL, pw_library_malloc, free, pw_library_realloc);
}
