/* SPDX-License-Identifier: ISC */
/* err.h - the one error enumeration of Poolwise.
 *
 * Fallible functions return PwErr (PW_OK = 0) and are PW_MUSTCHECK; they write their `ret_`
 * parameters only on success. A function logs or returns an error, never both.
 * Any thread. */
#ifndef POOLWISE_ERR_H
#define POOLWISE_ERR_H

#define PW_MUSTCHECK __attribute__((warn_unused_result))
#define PW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define PW_LIKELY(x) __builtin_expect(!!(x), 1)
#define PW_UNLIKELY(x) __builtin_expect(!!(x), 0)
/* Seldom called: not inlined, or its callers on the data path would save registers for it. */
#define PW_COLD __attribute__((noinline, cold))
#define PW_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

typedef enum PwErr {
    PW_OK = 0,
    PW_ERR_NOMEM,       /* an allocation whose size came from outside failed */
    PW_ERR_IO,          /* errno has the reason */
    PW_ERR_AGAIN,       /* needs more input, or would block */
    PW_ERR_CLOSED,      /* the peer closed */
    PW_ERR_SYNTAX,      /* malformed text (ini, SQL, file line) */
    PW_ERR_RANGE,       /* value outside its range */
    PW_ERR_UNKNOWN_KEY, /* no such option */
    PW_ERR_NOT_FOUND,
    PW_ERR_EXISTS,
    PW_ERR_PROTOCOL,  /* the peer broke the wire protocol */
    PW_ERR_TOO_LARGE, /* a length above its limit */
    PW_ERR_AUTH,      /* credentials do not match */
    PW_ERR_UNSUPPORTED,
    PW_ERR_TIMEOUT,
    PW_ERR_LIMIT,    /* a configured limit is reached */
    PW_ERR_SHUTDOWN, /* the process or the pool goes away */
    PW_ERR_FIXED,    /* an option that only a restart changes */
    PW_ERR_COUNT
} PwErr;

/* Short English text of an error, lower case, never NULL; static storage. */
const char *pw_err_text(PwErr err);

#endif
