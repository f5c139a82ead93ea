/* SPDX-License-Identifier: ISC */
/* wire.h - PostgreSQL's frontend/backend protocol 3: message table, bounds-checked cursor, builders.
 *
 * Pure functions on memory: no sockets, threads or globals. Sources: PostgreSQL documentation, chapter
 * "Frontend/Backend Protocol", sections "Message Formats" and "Error and Notice Message Fields". */
#ifndef POOLWISE_WIRE_H
#define POOLWISE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/buf.h"
#include "poolwise/err.h"

#define PW_WIRE_HEADER 5              /* type byte and length */
#define PW_STARTUP_MAX 10000          /* PostgreSQL's MAX_STARTUP_PACKET_LENGTH */
#define PW_AUTH_MAX 65535             /* PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH */
#define PW_PROTO_3_0 UINT32_C(196608)
#define PW_PROTO_3_2 UINT32_C(196610)
#define PW_CANCEL_KEY_MAX 260         /* process id and secret of a BackendKeyData (protocol 3.2) */
#define PW_CODE_CANCEL UINT32_C(80877102)
#define PW_CODE_SSL UINT32_C(80877103)
#define PW_CODE_GSSENC UINT32_C(80877104)

/* Frontend messages */
#define PW_F_BIND 'B'
#define PW_F_CLOSE 'C'
#define PW_F_DESCRIBE 'D'
#define PW_F_EXECUTE 'E'
#define PW_F_FUNCTION 'F'
#define PW_F_FLUSH 'H'
#define PW_F_PARSE 'P'
#define PW_F_QUERY 'Q'
#define PW_F_SYNC 'S'
#define PW_F_TERMINATE 'X'
#define PW_F_COPY_DONE 'c'
#define PW_F_COPY_DATA 'd'
#define PW_F_COPY_FAIL 'f'
#define PW_F_PASSWORD 'p' /* also SASL responses */

/* Backend messages */
#define PW_B_AUTH 'R'
#define PW_B_KEY_DATA 'K'
#define PW_B_BIND_COMPLETE '2'
#define PW_B_CLOSE_COMPLETE '3'
#define PW_B_COMMAND_COMPLETE 'C'
#define PW_B_COPY_BOTH 'W'
#define PW_B_COPY_DATA 'd'
#define PW_B_COPY_DONE 'c'
#define PW_B_COPY_IN 'G'
#define PW_B_COPY_OUT 'H'
#define PW_B_DATA_ROW 'D'
#define PW_B_EMPTY_QUERY 'I'
#define PW_B_ERROR 'E'
#define PW_B_FUNCTION_RESULT 'V'
#define PW_B_NEGOTIATE 'v'
#define PW_B_NO_DATA 'n'
#define PW_B_NOTICE 'N'
#define PW_B_NOTIFICATION 'A'
#define PW_B_PARAM_DESC 't'
#define PW_B_PARAM_STATUS 'S'
#define PW_B_PARSE_COMPLETE '1'
#define PW_B_PORTAL_SUSPENDED 's'
#define PW_B_READY 'Z'
#define PW_B_ROW_DESC 'T'

typedef enum PwMsgFlag {
    PW_MSG_FRONTEND = 1 << 0,
    PW_MSG_BACKEND = 1 << 1,
    PW_MSG_EXTENDED = 1 << 2, /* frontend: part of the extended query protocol */
    PW_MSG_WHOLE = 1 << 3,    /* backend: looked at by the pooler, so it is held until complete */
} PwMsgFlag;

typedef struct PwMsgInfo {
    const char *name;    /* as in the documentation; NULL: no such message */
    uint32_t min_length; /* of the length word, itself included */
    unsigned flags;
} PwMsgInfo;

/* Facts about one message type, never NULL (name is NULL for an unknown type). */
const PwMsgInfo *pw_msg_frontend(uint8_t type);
const PwMsgInfo *pw_msg_backend(uint8_t type);

static inline uint32_t pw_be32(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

static inline uint16_t pw_be16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}

/* ---- many messages in a row ---- */

/* The messages of a large result or copy often have the same length many times. Then the next one's place need not wait until this
 * one's length has come from the cache: the processor guesses it, and checks. */
typedef struct PwRun {
    size_t total;  /* of the last message, header included */
    unsigned same; /* messages of that size before it */
} PwRun;

/* So many of one size announce more. Where two sizes come in turn wrong guesses would cost more than right ones save. */
#define PW_RUN_SAME 8

/* p[0..n) begins with a whole message of `total` bytes: how many bytes are it and those behind it with the same header. */
size_t pw_run_of_equals(const uint8_t *p, size_t n, size_t total);

/* A walk steps over the message at p: `total` bytes, or more when it is one of a run. */
static inline size_t pw_run_step(PwRun *run, const uint8_t *p, size_t n, size_t total)
{
    run->same = total == run->total ? run->same + 1 : 0;
    run->total = total;
    return PW_LIKELY(run->same != PW_RUN_SAME) ? total : pw_run_of_equals(p, n, total);
}

/* ---- cursor: reads from a message; the first read past the end sets `bad`, all later ones give zeros ---- */

typedef struct PwCursor {
    const uint8_t *p, *end;
    bool bad;
} PwCursor;

static inline PwCursor pw_cursor(const void *bytes, size_t n)
{
    return (PwCursor){.p = bytes, .end = (const uint8_t *)bytes + n, .bad = false};
}
static inline size_t pw_cursor_left(const PwCursor *c)
{
    return (size_t)(c->end - c->p);
}
uint8_t pw_cursor_u8(PwCursor *c);
uint16_t pw_cursor_be16(PwCursor *c);
uint32_t pw_cursor_be32(PwCursor *c);
const char *pw_cursor_cstr(PwCursor *c);                /* NUL-terminated; "" when bad */
const uint8_t *pw_cursor_bytes(PwCursor *c, size_t n);  /* NULL when bad */

/* ---- builders: append one whole message to buf ---- */

/* Starts a message (type 0: none, as in start-up packets) and returns the mark for pw_msg_end. */
size_t pw_msg_begin(PwBuf *buf, uint8_t type);
void pw_msg_end(PwBuf *buf, size_t mark);

typedef struct PwErrorText {
    const char *severity; /* "ERROR", "FATAL", "NOTICE", ... */
    const char *sqlstate; /* five characters */
    const char *message;
    const char *detail; /* NULL: left out */
    const char *hint;   /* NULL: left out */
    const char *routine; /* what raised it, for programs that look; NULL: left out */
} PwErrorText;

void pw_msg_error(PwBuf *buf, const PwErrorText *e);
void pw_msg_notice(PwBuf *buf, const PwErrorText *e);
void pw_msg_ready(PwBuf *buf, char status);
void pw_msg_cancel(PwBuf *buf, const uint8_t *key, size_t n); /* CancelRequest: the process id and the secret, n bytes */
void pw_msg_param_status(PwBuf *buf, const char *name, const char *value);
void pw_msg_query(PwBuf *buf, const char *sql);
void pw_msg_auth_ok(PwBuf *buf);
void pw_msg_key_data(PwBuf *buf, const uint8_t *key, size_t n); /* process id and secret together */
void pw_msg_command_complete(PwBuf *buf, const char *tag);

/* Value of a field of an ErrorResponse or NoticeResponse payload ('S','V','C','M','D','H','R', ...),
 * NULL when absent or when the payload is malformed. Points into the payload. */
const char *pw_error_field(const uint8_t *payload, size_t n, char field);

/* Rows of a CommandComplete tag such as "SELECT 5" or "INSERT 0 3"; 0 when it has none. */
uint64_t pw_tag_rows(const char *tag, size_t n);

/* ---- start-up packet: version word already read ---- */

/* Calls `on_param` for each pair of a start-up packet's payload (after length and version). It may stop by
 * returning an error, which is passed on. PW_ERR_PROTOCOL when the packet is malformed. */
PW_MUSTCHECK PwErr pw_startup_params(const uint8_t *payload, size_t n,
                                     PwErr (*on_param)(void *arg, const char *key, const char *value),
                                     void *arg);

#endif
