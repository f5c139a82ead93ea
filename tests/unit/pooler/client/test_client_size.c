/* SPDX-License-Identifier: ISC */
/* An idle plain client may take 1 KiB of heap, however many there are. `tests/perf/run idle` measures it; here what it is made of is
 * added up, so that whoever adds a field to Client or Relay hears of it. What only some clients need, or only for a
 * while, belongs behind a pointer: ClientLogin, RelayExtended, RelayUnnamed, RelayOwnError, RelayListen. */
#include "pooler/client/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>

#include <string.h>

#define BUDGET 1024

/* What the C library takes for n bytes. */
static size_t chunk(size_t n)
{
    size_t size = (n + 8 + 15) & ~(size_t)15;
    return size < 32 ? 32 : size;
}

static void test_idle_client(void **state)
{
    (void)state;
    size_t client = chunk(sizeof(Client));
    size_t loop = chunk(24) + 16; /* libevent's entry for a descriptor, and its place in a list that doubles */
    size_t index = 16;            /* its place in WorkerCtx.by_cancel_key, which doubles too */
    if (client + loop + index > BUDGET)
        fail_msg("an idle client takes %zu bytes, Client %zu of them (Relay %zu, Stream %zu)", client + loop + index, client,
                 sizeof(Relay), sizeof(Stream));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_idle_client)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
