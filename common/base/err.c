/* SPDX-License-Identifier: ISC */
#include "poolwise/err.h"

#include <assert.h>

static const char *const err_texts[] = {
    [PW_OK] = "ok",
    [PW_ERR_NOMEM] = "out of memory",
    [PW_ERR_IO] = "input/output error",
    [PW_ERR_AGAIN] = "try again",
    [PW_ERR_CLOSED] = "connection closed by the peer",
    [PW_ERR_SYNTAX] = "syntax error",
    [PW_ERR_RANGE] = "value out of range",
    [PW_ERR_UNKNOWN_KEY] = "unknown option",
    [PW_ERR_NOT_FOUND] = "not found",
    [PW_ERR_EXISTS] = "exists already",
    [PW_ERR_PROTOCOL] = "protocol violation",
    [PW_ERR_TOO_LARGE] = "too large",
    [PW_ERR_AUTH] = "authentication failed",
    [PW_ERR_UNSUPPORTED] = "not supported",
    [PW_ERR_TIMEOUT] = "timed out",
    [PW_ERR_LIMIT] = "limit reached",
    [PW_ERR_SHUTDOWN] = "shutting down",
    [PW_ERR_FIXED] = "takes a restart to change",
};
static_assert(PW_ARRAY_LEN(err_texts) == PW_ERR_COUNT, "each PwErr has a text");

const char *pw_err_text(PwErr err)
{
    if ((unsigned)err >= PW_ERR_COUNT)
        return "unknown error";
    return err_texts[err];
}
