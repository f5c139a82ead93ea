/* SPDX-License-Identifier: ISC */
/* Three atomics of the entry, each of which may be a moment older than the others: the worst that comes of it is one attempt
 * too many or one a little late. */
#include "pooler/pool/failure.h"

#include <string.h>

#include "poolwise/str.h"

void pool_entry_failed(PoolEntry *entry, PwUsec now, const char *sqlstate, const char *text)
{
    pthread_mutex_lock(&entry->lock);
    pw_str_copy(entry->fail_text, sizeof(entry->fail_text), text); /* drivers refuse torn characters */
    pw_str_copy(entry->fail_sqlstate, sizeof(entry->fail_sqlstate), sqlstate ? sqlstate : "");
    pthread_mutex_unlock(&entry->lock);
    pw_atomic_store(&entry->starting, sqlstate && strcmp(sqlstate, "57P03") == 0);
    pw_atomic_store(&entry->failed_at, now);
}

void pool_entry_worked(PoolEntry *entry)
{
    if (pw_atomic_load(&entry->failed_at) != 0)
        pw_atomic_store(&entry->failed_at, 0);
}

static bool pauses(PoolEntry *entry, PwUsec now, PwUsec retry, PwUsec tried)
{
    PwUsec failed = pw_atomic_load(&entry->failed_at);
    if (failed == 0)
        return false;
    if (retry > POOL_STARTING_RETRY && pw_atomic_load(&entry->starting))
        retry = POOL_STARTING_RETRY;
    return now - (tried > failed ? tried : failed) < retry;
}

bool pool_entry_pauses(PoolEntry *entry, PwUsec now, PwUsec retry)
{
    return pauses(entry, now, retry, pw_atomic_load(&entry->tried_at));
}

bool pool_entry_try(PoolEntry *entry, PwUsec now, PwUsec retry)
{
    if (pw_atomic_load(&entry->failed_at) == 0)
        return true;
    int64_t tried = pw_atomic_load(&entry->tried_at);
    return !pauses(entry, now, retry, tried) && pw_atomic_cas(&entry->tried_at, &tried, now);
}
