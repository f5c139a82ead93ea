/* SPDX-License-Identifier: ISC */
/* The last losses in a ring. A server that sees no new number takes no lock. One that was busy while more were lost than the
 * ring has rows counts as moved. */
#include "pooler/server/moved.h"

#include <pthread.h>
#include <stdio.h>
#include <strings.h>

#include "pooler/net/atomic.h"
#include "poolwise/err.h"

#define ROWS 256
#define NAME_SIZE 256

typedef struct Loss {
    char host[NAME_SIZE];
    NetAddr addr;
} Loss;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Loss rows[ROWS];           /* lock */
static PW_ATOMIC(uint64_t) noted; /* written under the lock, after the row */

uint64_t moved_epoch(void)
{
    return pw_atomic_load(&noted);
}

void moved_note(void *arg, const char *host, const NetAddr *addr)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    uint64_t n = pw_atomic_load(&noted);
    Loss *row = &rows[n % ROWS];
    snprintf(row->host, sizeof(row->host), "%s", host);
    row->addr = *addr;
    pw_atomic_store(&noted, n + 1);
    pthread_mutex_unlock(&lock);
}

bool moved_since(uint64_t *epoch, const char *host, const NetAddr *addr)
{
    if (PW_LIKELY(*epoch == pw_atomic_load(&noted)))
        return false;
    pthread_mutex_lock(&lock);
    uint64_t now = pw_atomic_load(&noted);
    bool found = now - *epoch > ROWS;
    for (uint64_t n = *epoch; n < now && !found; n++)
        found = net_addr_same_host(&rows[n % ROWS].addr, addr) && strcasecmp(rows[n % ROWS].host, host) == 0;
    pthread_mutex_unlock(&lock);
    *epoch = now;
    return found;
}
