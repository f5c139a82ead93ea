/* SPDX-License-Identifier: ISC */
/* admin_priv.h - between the files of pooler/admin: a console's session, its jobs, the rows of commands and views.
 *
 *   message --> AdminSession --> row of admin_commands --+-- answers at once
 *                  ^                                     +-- AdminJob: tours the workers, may wait for ticks,
 *                  +---------- answer -------------------+   outlives a console that goes away
 *
 * A session has at most one job; what the console sends meanwhile waits in `queued`. Session and job belong to the
 * console's worker; during a tour the job belongs to the worker that it visits. */
#ifndef POOLER_ADMIN_ADMIN_PRIV_H
#define POOLER_ADMIN_ADMIN_PRIV_H

#include <stdbool.h>
#include <sys/queue.h>

#include "pooler/admin/admin.h"
#include "pooler/admin/admin_parse.h"
#include "pooler/admin/admin_result.h"
#include "pooler/client/client.h"
#include "pooler/pool/registry.h"
#include "poolwise/buf.h"
#include "poolwise/err.h"

typedef struct AdminJob AdminJob;
typedef struct AdminShow AdminShow;
typedef struct AdminFds AdminFds;

/* ---- the console ---- */

typedef struct AdminPrepared AdminPrepared; /* a statement or a portal; admin_extended.c */
typedef TAILQ_HEAD(AdminPreparedList, AdminPrepared) AdminPreparedList;

typedef struct AdminSession {
    Client *client;
    AdminJob *job;  /* NULL: the next command may start */
    PwBuf queued;   /* messages that came while a job runs: type byte, length (4 bytes, of the payload), payload */
    PwUsec started; /* of the current command */
    bool draining;  /* admin_session_next is on the stack */
    bool closing;   /* said its last word; closed by the next tick */
    bool extended;     /* the present command came by Execute: no ReadyForQuery behind its answer */
    bool skip_to_sync; /* an error was answered within the extended protocol */
    bool takes_over;   /* HANDOVER SOCKETS: nobody else does as long as it is here */
    AdminPreparedList statements, portals;
    AdminPrepared *executing; /* the portal whose rows are wanted */
    uint32_t execute_limit;   /* rows of this Execute; 0: all */
    TAILQ_ENTRY(AdminSession) link; /* AdminWorker.sessions */
} AdminSession;

/* What one worker keeps for its consoles; its own only. */
typedef struct AdminWorker {
    TAILQ_HEAD(AdminSessionList, AdminSession) sessions;
    TAILQ_HEAD(AdminJobList, AdminJob) waiting; /* jobs that the tick looks at */
    PoolStats stats; /* of the row "pgbouncer" in SHOW STATS */
} AdminWorker;
AdminWorker *admin_worker(unsigned index);

const AdminProcessOps *admin_process(void);

static inline WorkerCtx *admin_ctx(const AdminSession *s)
{
    return worker_ctx(s->client->relay.stream.worker);
}

/* Whether SHOW is to look exactly as PgBouncer's. */
static inline bool admin_strict(const AdminSession *s)
{
    return admin_ctx(s)->config->console_columns == CONSOLE_COLUMNS_PGBOUNCER;
}

/* Answers, each ending its command: with ReadyForQuery after a Query, without after an Execute. The session may be
 * gone afterwards. */
void admin_complete(AdminSession *s, const char *tag);
void admin_error(AdminSession *s, const char *fmt, ...) PW_PRINTF(2, 3);
void admin_error_state(AdminSession *s, const char *sqlstate, const char *detail, const char *text);
void admin_error_hint(AdminSession *s, const char *text, const char *hint); /* hint may be NULL */
void admin_answer(AdminSession *s, PwBuf *out); /* whole messages */
void admin_result(AdminSession *s, const AdminResult *r, size_t limit, const char *tag); /* limit 0: all rows */

void admin_run(AdminSession *s, const char *sql); /* a command begins */

/* Parts of an answer. */
void admin_send(AdminSession *s, PwBuf *out); /* whole messages */
void admin_notice(AdminSession *s, const char *text, const char *detail); /* detail may be NULL */
void admin_ready(AdminSession *s);

/* admin_extended.c */
void admin_extended_message(AdminSession *s, uint8_t type, const uint8_t *payload, size_t n);
void admin_extended_query(AdminSession *s); /* a Query comes: ends the unnamed statement and all portals */
void admin_extended_result(AdminSession *s, const AdminResult *r, size_t limit, const char *tag);
void admin_extended_finish(AdminSession *s);

/* ---- jobs ---- */

#define ADMIN_TAG_MAX (ADMIN_ARG_MAX + ADMIN_VALUE_MAX + 8)

typedef enum AdminWait {
    ADMIN_WAIT_NONE,
    ADMIN_WAIT_PAUSE,   /* until no server is left */
    ADMIN_WAIT_CLOSE,   /* until no server is to be closed */
    ADMIN_WAIT_SUSPEND, /* until nothing is buffered */
    ADMIN_WAIT_FDS,     /* until all rows are sent */
} AdminWait;

struct AdminJob {
    AdminSession *session; /* NULL: the console is gone */
    unsigned worker;       /* the console's */
    const char *tag;
    char tag_text[ADMIN_TAG_MAX]; /* of a tag that is made up */
    void (*visit)(WorkerCtx *ctx, AdminJob *job); /* on each worker in turn */
    void (*done)(AdminJob *job); /* on the console's worker; ends in admin_job_end, _wait or another tour */
    DbState *db;           /* NULL: all databases */
    uint64_t id;           /* KILL_CLIENT */
    int count;             /* what the visits counted */
    bool touring;
    bool undone; /* what it waits for was undone by somebody else */
    AdminWait wait;
    PwUsec deadline; /* SUSPEND: then what cannot be flushed is closed; 0: none */
    bool force;      /* ... and this is that tour */
    AdminShow *show;
    AdminFds *fds;     /* SHOW FDS, HANDOVER */
    bool with_secrets; /* SHOW FDS: to a process of our own user */
    TAILQ_ENTRY(AdminJob) link; /* AdminWorker.waiting */
    bool listed;
};

AdminJob *admin_job_create(AdminSession *s, const char *tag);
void admin_job_tour(AdminJob *job, void (*visit)(WorkerCtx *ctx, AdminJob *job), void (*done)(AdminJob *job));
void admin_job_wait(AdminJob *job, AdminWait wait); /* looked at by the ticks of its worker */
/* Answers with the tag, or with an error if `error` is not NULL, and frees the job. */
void admin_job_end(AdminJob *job, const char *error);
void admin_job_done(AdminJob *job); /* the same without an error, for admin_job_tour */
void admin_job_free(AdminJob *job); /* without an answer */
void admin_session_next(AdminSession *s); /* what is queued */

/* ---- commands ---- */

typedef enum AdminArg { ADMIN_ARG_NONE, ADMIN_ARG_OPTIONAL, ADMIN_ARG_REQUIRED } AdminArg;

typedef struct AdminCommand {
    const char *word;
    AdminArg arg;
    bool needs_admin;
    void (*run)(AdminSession *s, const AdminRequest *r);
    const char *usage; /* as SHOW HELP prints it */
    const char *help;  /* one line for docs/admin.md */
} AdminCommand;

const AdminCommand *admin_command_find(const char *word);
void admin_execute(AdminSession *s, const char *sql);
bool admin_check(AdminSession *s, const char *sql); /* false: it is wrong, and an error was answered */
/* The columns of its rows; 0: it has none. */
unsigned admin_describe(const AdminSession *s, const char *sql, const AdminColumn **ret_columns);

/* admin_hint.c: what `sql`, which is no command, was perhaps meant to be. False: no idea. Pure. */
bool admin_hint(const char *sql, char *to, size_t size);

/* admin_fds.c */
AdminFds *admin_fds_create(const AdminColumn *columns, unsigned n_columns);
void admin_fds_destroy(AdminFds *fds); /* NULL is fine */
void admin_fds_send(AdminJob *job);    /* goes on; ends the job when all is sent */
void admin_cmd_handover(AdminSession *s, const AdminRequest *r);
void admin_handover_console_gone(const AdminSession *s);

void admin_cmd_transaction(AdminSession *s, const AdminRequest *r);
size_t admin_command_count(void);
const AdminCommand *admin_command_at(size_t i);

/* admin_pause.c */
void admin_cmd_pause(AdminSession *s, const AdminRequest *r);
void admin_cmd_resume(AdminSession *s, const AdminRequest *r);
void admin_cmd_suspend(AdminSession *s, const AdminRequest *r);
void admin_pause_look(AdminJob *job);                 /* ADMIN_WAIT_PAUSE: ends it when it is reached, or undone */
void admin_suspend_look(AdminJob *job, PwUsec now);   /* ADMIN_WAIT_SUSPEND: the same */
void admin_pause_undo(AdminJob *job);                 /* ^C while one of them waits */
void admin_pause_console_gone(AdminSession *s);       /* SUSPEND ends with its console */

/* admin_control.c */
/* The command is logged; false: an error was answered. *ret_db stays NULL without a name. `verb`: what cannot be done
 * to the console's own database. `make`: a database that only "*" stands for is made, else it does not exist yet. */
bool admin_control_start(AdminSession *s, const char *command, const char *verb, const AdminRequest *r, bool make, DbState **ret_db);
void admin_cmd_disable(AdminSession *s, const AdminRequest *r);
void admin_cmd_enable(AdminSession *s, const AdminRequest *r);
void admin_cmd_kill(AdminSession *s, const AdminRequest *r);
void admin_cmd_kill_client(AdminSession *s, const AdminRequest *r);
void admin_cmd_reconnect(AdminSession *s, const AdminRequest *r);
void admin_cmd_wait_close(AdminSession *s, const AdminRequest *r);
void admin_control_tick(AdminJob *job, PwUsec now);   /* a waiting job */
void admin_control_cancel(AdminJob *job);             /* ^C while it waits */

typedef enum AdminState { ADMIN_ACTIVE, ADMIN_PAUSED, ADMIN_SUSPENDED } AdminState;
AdminState admin_state(void); /* of the process; any worker */

/* admin_process.c: what only the process can do */
void admin_cmd_reload(AdminSession *s, const AdminRequest *r);
void admin_cmd_set(AdminSession *s, const AdminRequest *r);
void admin_cmd_shutdown(AdminSession *s, const AdminRequest *r);

/* admin_show.c */
void admin_cmd_show(AdminSession *s, const AdminRequest *r);
unsigned admin_show_columns(const AdminRequest *r, const AdminColumn **ret_columns); /* 0: none, or no such view */
bool admin_show_exists(const AdminRequest *r);

/* Settings of a PostgreSQL session that drivers ask for or set; NULL: not one of them. */
typedef struct AdminFakeSetting {
    AdminColumn column; /* its name */
    const char *value;
} AdminFakeSetting;
const AdminFakeSetting *admin_fake_setting(const char *name);

/* ---- views ---- */

typedef struct AdminView {
    const char *name;
    const AdminColumn *columns;
    unsigned n_columns;
    size_t gather; /* bytes of AdminShow.gather, zeroed; 0: none */
    unsigned limit; /* > 0: SHOW name n is possible, this is n when left out */
    void (*visit)(WorkerCtx *ctx, AdminShow *show);  /* each worker in turn; NULL: nothing to gather */
    void (*finish)(WorkerCtx *ctx, AdminShow *show); /* on the console's worker; may be NULL */
    void (*drop)(AdminShow *show); /* frees what hangs on the gather; may be NULL */
    void (*start)(AdminSession *s); /* SHOW FDS: has its own way, and is for admins; else NULL */
    const char *help;
} AdminView;

struct AdminShow {
    const AdminView *view;
    AdminResult result;
    void *gather;
    bool sort; /* by the rows' keys, after finish */
    size_t limit;
};

extern const AdminView *const admin_views[]; /* ends with NULL */

extern const AdminView admin_view_clients, admin_view_servers, admin_view_sockets, admin_view_active_sockets;
extern const AdminView admin_view_pools, admin_view_peer_pools, admin_view_databases, admin_view_peers, admin_view_users;
extern const AdminView admin_view_stats, admin_view_stats_totals, admin_view_stats_averages, admin_view_averages,
    admin_view_totals;
extern const AdminView admin_view_lists, admin_view_mem, admin_view_config, admin_view_state, admin_view_version;
extern const AdminView admin_view_listeners;
extern const AdminView admin_view_pins;
extern const AdminView admin_view_queries, admin_view_workers, admin_view_dns_hosts, admin_view_dns_zones, admin_view_fds;

/* ---- shared by views ---- */

/* The state in which SHOW SERVERS and SHOW POOLS count a server of a worker. */
typedef enum AdminServerState {
    ADMIN_SERVER_ACTIVE,
    ADMIN_SERVER_IDLE,
    ADMIN_SERVER_USED, /* idle for longer than server_check_delay: checked before it is used */
    ADMIN_SERVER_TESTED,
    ADMIN_SERVER_NEW,
    ADMIN_SERVER_BEING_CANCELED,
    ADMIN_SERVER_STATE_COUNT
} AdminServerState;
AdminServerState admin_server_state(const Server *s, const Config *config, PwUsec now);

/* Calls `each` for all servers of a worker's part of a pool. */
void admin_each_server(const PoolLocal *local, void (*each)(void *arg, Server *s), void *arg);

/* A database that exists now: a line of the file, one made from "*" and still in use, or (last) the console. */
typedef struct AdminDatabase {
    const char *name;
    const DatabaseConf *conf; /* NULL: the console */
    DbState *db;              /* NULL: the console, or not used yet */
    bool is_auto;
} AdminDatabase;
/* By name. The caller frees the array. `config` must outlive it. */
int64_t admin_count_peer_pools(const Config *config); /* peers without ourselves */
AdminDatabase *admin_databases(const Config *config, PwUsec now, size_t *ret_n);

/* All DbStates there are, with what their gone pools counted; the caller frees the array. */
typedef struct AdminDbState {
    DbState *db;
    PoolStats past;
} AdminDbState;
AdminDbState *admin_db_states(size_t *ret_n);

bool admin_is_console_name(const char *database);

#endif
