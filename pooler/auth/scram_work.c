/* SPDX-License-Identifier: ISC */
#include "pooler/auth/scram_work.h"

#include <stdlib.h>
#include <string.h>

#include "pooler/auth/scram_crypto.h"
#include "poolwise/mem.h"

PwErr scram_work_init(ScramWork *work, ScramCache *cache, const char *owner, const char *password, const uint8_t *salt,
                      size_t salt_len, uint32_t iterations)
{
    if (salt_len > SCRAM_SALT_MAX)
        return PW_ERR_RANGE;
    *work = (ScramWork){.cache = cache, .salt_len = (uint16_t)salt_len, .iterations = iterations};
    work->owner = pw_xstrdup(owner);
    work->password = pw_xstrdup(password);
    memcpy(work->salt, salt, salt_len);
    return PW_OK;
}

void scram_work_finish(ScramWork *work)
{
    free(work->owner);
    if (work->password)
        pw_wipe(work->password, strlen(work->password));
    free(work->password);
    pw_wipe(work, sizeof(*work));
}

void scram_work_run(ScramWork *work)
{
    work->err = scram_cache_find(work->cache, work->owner, work->password, work->salt, work->salt_len, work->iterations,
                                 &work->keys);
    if (work->err != PW_ERR_NOT_FOUND)
        return;
    work->err = scram_derive(work->password, work->salt, work->salt_len, work->iterations, &work->keys);
    if (!work->err && work->keep)
        scram_cache_keep(work->cache, work->owner, work->password, &work->keys);
}
