/* SPDX-License-Identifier: ISC */
/* scram_work.h - a key derivation that a login state machine hands out, so that it can run on another thread.
 *
 * PBKDF2 takes milliseconds; an event loop must not. The machine says AUTH_STEP_WORK, its owner takes the work, runs it anywhere,
 * and gives it back to the machine's resume function. Holds copies only: the machine may be gone before it ends. */
#ifndef POOLER_AUTH_SCRAM_WORK_H
#define POOLER_AUTH_SCRAM_WORK_H

#include <stdbool.h>

#include "pooler/auth/scram_cache.h"

typedef struct ScramWork {
    ScramCache *cache;
    char *owner, *password;
    uint8_t salt[SCRAM_SALT_MAX];
    uint16_t salt_len;
    uint32_t iterations;
    bool keep; /* put the keys into the cache; false: only who proves right may be kept, the machine does it */
    PwErr err; /* after scram_work_run */
    ScramKeys keys;
} ScramWork;

/* Copies what it is given. PW_ERR_RANGE: salt_len above SCRAM_SALT_MAX. */
PW_MUSTCHECK PwErr scram_work_init(ScramWork *work, ScramCache *cache, const char *owner, const char *password,
                                   const uint8_t *salt, size_t salt_len, uint32_t iterations);
void scram_work_finish(ScramWork *work); /* wipes; a zeroed one is fine */

/* Any thread. Looks into the cache first: many logins of one user derive once. */
void scram_work_run(ScramWork *work);

#endif
