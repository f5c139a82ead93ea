/* SPDX-License-Identifier: ISC */
/* admin.h - the admin console: what a client of the database "pgbouncer" (or "pooler") talks to.
 *
 * Simple protocol, one command a query string (docs/admin.md). A console lives on its client's worker. What other
 * workers know is gathered by tours; what takes long is looked at again on every tick. */
#ifndef POOLER_ADMIN_ADMIN_H
#define POOLER_ADMIN_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "pooler/server/context.h"
#include "poolwise/err.h"

/* What only the whole process can do (pooler/app). Called on the console's worker; may block for a moment. */
typedef struct AdminProcessOps {
    bool (*reload)(char *why, size_t why_size);                          /* false: nothing changed; why: a line that says so, then the problems. true: why the log was not opened again, or empty */
    PwErr (*set)(const char *key, const char *value, char *why);         /* why[CONFIG_WHY] */
    void (*shutdown)(ShutdownMode mode);
    void (*suspend)(bool on); /* by a tour: a later tour finds it done */
    void (*each_listener)(void (*each)(void *arg, int fd, const NetAddr *addr), void *arg); /* main worker */
    void (*handed_over)(void); /* another process accepts: end with the last client. Again: and never accept again */
    void (*take_back)(void);   /* the process that was taking over has died */
    void (*resumed)(const char *database); /* NULL: all. Any worker */
} AdminProcessOps;

/* Once, before the workers start. Registers the console with pooler/client. */
void admin_init(const AdminProcessOps *ops);

/* Before the workers start: as PAUSE without a name leaves the process, and as PAUSE or DISABLE of one leave a database. */
void admin_start_paused(void);
void admin_start_marked(const char *database, bool is_auto, bool paused, bool disabled);

/* Clients have left this process and are not in the hands of the other one yet (HANDOVER): it must not end. Any thread; whoever finds
 * no client left and then asks this has missed none. */
bool admin_is_handing_over(void);

/* Every 100 ms on each worker. */
void admin_tick(WorkerCtx *ctx, PwUsec now);

/* PAUSE and RESUME without a name, for SIGUSR1 and SIGUSR2, which they log. Main worker. */
void admin_pause_all(void);
void admin_resume_all(void);

#endif
