/* SPDX-License-Identifier: ISC */
/* auth_fixture.h - what the tests of both logins' state machines share. */
#ifndef TESTS_AUTH_FIXTURE_H
#define TESTS_AUTH_FIXTURE_H

#include "auth_test.h"
#include "pooler/auth/scram_cache.h"

static ScramCache *cache;
static PwBuf out;
static uint8_t payload[4096];

static bool defer; /* the whole file runs both ways */
static int works;  /* derivations that were handed out */

static int setup(void **state)
{
    (void)state;
    pw_buf_init(&out);
    return scram_cache_create(16, &cache) == PW_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    pw_buf_finish(&out);
    scram_cache_destroy(cache);
    return 0;
}

#endif
