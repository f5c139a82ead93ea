/* SPDX-License-Identifier: ISC */
/* snapshot.h - the configuration: an immutable, reference-counted snapshot of the ini file.
 *
 * RELOAD loads a new one and swaps it; whoever uses one holds a reference. After config_load nothing in
 * it changes, so any thread may read it. Fields are named exactly like the options and hold their values:
 * times in microseconds, unset strings NULL. Loading reports every problem of the file, not the first. */
#ifndef POOLER_CONFIG_SNAPSHOT_H
#define POOLER_CONFIG_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "poolwise/diag.h"
#include "poolwise/err.h"
#include "poolwise/refs.h"
#include "poolwise/str.h"
#include "poolwise/time.h"

typedef enum PoolMode {
    POOL_MODE_UNSET = -1, /* only in DatabaseConf and UserConf */
    POOL_MODE_SESSION,
    POOL_MODE_TRANSACTION,
    POOL_MODE_STATEMENT,
    POOL_MODE_COUNT
} PoolMode;

/* How workers do their input and output (pooler/net/send_batch.h). */
typedef enum IoEngine {
    IO_ENGINE_AUTO,
    IO_ENGINE_EPOLL,
    IO_ENGINE_IO_URING,
} IoEngine;

/* What happens to the state of a session in transaction and statement mode (docs/session-state.md). */
typedef enum SessionTracking {
    SESSION_TRACKING_UNSET = -1, /* only in DatabaseConf and UserConf */
    SESSION_TRACKING_OFF,
    SESSION_TRACKING_PIN,
    SESSION_TRACKING_TRACK,
} SessionTracking;

/* What a LISTEN does to a client in transaction and statement mode. */
typedef enum ListenMode {
    LISTEN_MODE_UNSET = -1, /* only in DatabaseConf and UserConf */
    LISTEN_MODE_PIN,
    LISTEN_MODE_REFUSE,
    LISTEN_MODE_SHARED,
} ListenMode;

typedef enum AuthType {
    AUTH_TYPE_ANY,
    AUTH_TYPE_TRUST,
    AUTH_TYPE_PLAIN,
    AUTH_TYPE_MD5,
    AUTH_TYPE_SCRAM_SHA_256,
    AUTH_TYPE_CERT,
    AUTH_TYPE_HBA,
    AUTH_TYPE_LDAP,
    AUTH_TYPE_PAM,
    AUTH_TYPE_PEER,   /* this and reject: only in lines of auth_hba_file */
    AUTH_TYPE_REJECT,
    AUTH_TYPE_COUNT
} AuthType;

typedef enum SslMode {
    SSL_MODE_DISABLE,
    SSL_MODE_ALLOW,
    SSL_MODE_PREFER,
    SSL_MODE_REQUIRE,
    SSL_MODE_VERIFY_CA,
    SSL_MODE_VERIFY_FULL,
    SSL_MODE_COUNT
} SslMode;

/* SCRAM-SHA-256-PLUS: the login is bound to the TLS connection. */
typedef enum ChannelBinding {
    CHANNEL_BINDING_DISABLE,
    CHANNEL_BINDING_PREFER,
    CHANNEL_BINDING_REQUIRE,
    CHANNEL_BINDING_COUNT
} ChannelBinding;

typedef enum LoadBalanceHosts {
    LOAD_BALANCE_UNSET = -1, /* = round-robin */
    LOAD_BALANCE_DISABLE,
    LOAD_BALANCE_ROUND_ROBIN,
    LOAD_BALANCE_COUNT
} LoadBalanceHosts;

typedef enum ErrorBehaviour {
    ERROR_BEHAVIOUR_PGBOUNCER,
    ERROR_BEHAVIOUR_POSTGRES,
    ERROR_BEHAVIOUR_COUNT
} ErrorBehaviour;

typedef enum ConsoleColumns {
    CONSOLE_COLUMNS_ALL,
    CONSOLE_COLUMNS_PGBOUNCER,
    CONSOLE_COLUMNS_COUNT
} ConsoleColumns;

/* A line of [databases]. Numbers and times are -1 when the line does not say. */
typedef struct DatabaseConf {
    char *name;   /* "*" for the fallback */
    bool is_auto; /* this is the fallback line */
    char *dbname; /* NULL: the name the client asked for */
    char
        *host; /* as given: name, address, /dir, @abstract or a comma list; NULL: unix_socket_dir */
    int port;  /* 5432 when not given; of the first host when each has its own */
    char *ports; /* a comma list of them, one for each host; NULL: all have `port` */
    char *user; /* forced server user; NULL: the client's */
    char *password;
    char *auth_user, *auth_query, *auth_dbname;
    int pool_size, min_pool_size, reserve_pool_size;
    PoolMode pool_mode;
    SessionTracking session_state;
    ListenMode listen_mode;
    int max_db_connections, max_db_client_connections;
    PwUsec server_lifetime, query_wait_timeout;
    LoadBalanceHosts load_balance_hosts;
    char *connect_query;
    char *client_encoding, *datestyle, *timezone,
        *application_name; /* start-up parameters for the server */
    const char *file;      /* where the line is, for messages */
    int line;
} DatabaseConf;

/* A line of [users]. -1: the line does not say. */
typedef struct UserConf {
    char *name;
    int pool_size, reserve_pool_size;
    PoolMode pool_mode;
    SessionTracking session_state;
    ListenMode listen_mode;
    int max_user_connections, max_user_client_connections;
    PwUsec query_timeout, query_wait_timeout, idle_transaction_timeout, transaction_timeout,
        client_idle_timeout;
    const char *file;
    int line;
} UserConf;

typedef struct Hba Hba;                 /* hba.h */
/* A line of [peers]: another process of the group. */
typedef struct PeerConf {
    char *name; /* the id as text */
    int id;
    char *host; /* never NULL */
    int port;
    int pool_size; /* -1: default_pool_size */
    const char *file;
    int line;
} PeerConf;

typedef struct ConfigLines ConfigLines; /* the lines of [databases] and [users], shared by copies */

typedef struct Config {
    /* [pgbouncer], in the order of SHOW CONFIG */
    PwStrList admin_users;
    bool application_name_add_host;
    char *auth_dbname, *auth_file, *auth_hba_file, *auth_ident_file, *auth_ldap_options,
        *auth_query;
    AuthType auth_type;
    char *auth_user;
    PwUsec autodb_idle_timeout, cancel_wait_timeout, client_idle_timeout, client_login_timeout;
    char *client_tls13_ciphers, *client_tls_ca_file, *client_tls_cert_file, *client_tls_ciphers,
        *client_tls_dheparams, *client_tls_ecdhcurve, *client_tls_key_file, *client_tls_protocols;
    SslMode client_tls_sslmode;
    char *conffile;
    int default_pool_size;
    bool disable_pqexec;
    PwUsec dns_max_ttl, dns_nxdomain_ttl, dns_zone_check_period;
    PwUsec idle_transaction_timeout;
    PwStrList ignore_startup_parameters;
    char *job_name;
    PwStrList listen_addr;
    int listen_backlog, listen_port;
    bool log_connections, log_disconnections, log_pooler_errors, log_stats;
    char *logfile;
    char *login_notify_message;
    int max_client_conn, max_db_client_connections, max_db_connections, max_packet_size,
        max_prepared_statements, max_user_client_connections, max_user_connections, min_pool_size;
    int peer_id;
    char *pidfile;
    int pkt_buf;
    PoolMode pool_mode;
    PwUsec pool_idle_timeout, query_timeout, query_wait_notify, query_wait_timeout;
    int reserve_pool_size;
    PwUsec reserve_pool_timeout;
    char *resolv_conf;
    int sbuf_loopcnt, scram_iterations;
    PwUsec server_check_delay;
    char *server_check_query; /* "<empty>": send an empty query; "": no check */
    PwUsec server_connect_timeout;
    bool server_fast_close;
    PwUsec server_idle_timeout, server_lifetime, server_login_retry;
    char *server_reset_query; /* "": none */
    bool server_reset_query_always, server_round_robin;
    char *server_tls13_ciphers, *server_tls_ca_file, *server_tls_cert_file, *server_tls_ciphers,
        *server_tls_key_file, *server_tls_protocols;
    SslMode server_tls_sslmode;
    bool so_reuseport;
    PwUsec stats_period;
    PwStrList stats_users;
    PwUsec suspend_timeout;
    bool syslog;
    char *syslog_facility, *syslog_ident;
    bool tcp_defer_accept, tcp_keepalive;
    int tcp_keepcnt, tcp_keepidle, tcp_keepintvl, tcp_socket_buffer;
    int tcp_user_timeout; /* milliseconds */
    PwStrList track_extra_parameters;
    PwUsec transaction_timeout;
    char *unix_socket_dir, *unix_socket_group; /* "": no unix socket */
    int unix_socket_mode;
    char *user;
    int verbose;
    /* ours */
    ChannelBinding client_channel_binding;
    bool client_tls_session_tickets;
    uint32_t client_max_protocol_version; /* PW_PROTO_3_0 or PW_PROTO_3_2 */
    ConsoleColumns console_columns;
    ErrorBehaviour error_behaviour;
    IoEngine io_engine;
    int max_queries_observed;
    char *query_log; /* "": none */
    PwUsec query_log_interval;
    int query_log_samples;
    bool query_observation;
    ChannelBinding server_channel_binding;
    uint32_t server_max_protocol_version; /* PW_PROTO_3_0 or PW_PROTO_3_2 */
    PwUsec server_recovery_timeout;
    SessionTracking session_state;
    ListenMode listen_mode;
    int listen_queue_size;
    int worker_threads; /* resolved: at least 1 */

    const Hba *hba;     /* with auth_type = hba: the rules of auth_hba_file; else NULL */
    const struct LdapOptions *ldap; /* with auth_type = ldap: auth_ldap_options; else NULL */
    ConfigLines *lines; /* private */
    PwRefs refs;        /* private */
} Config;

/* Reads path (and its %include files). All problems go to diags: errors and warnings. PW_OK only when
 * there was no error. *ret_config has one reference. Relative paths are relative to the working directory. */
PW_MUSTCHECK PwErr config_load(const char *path, Config **ret_config, PwDiag *diags);

const Config *config_ref(const Config *config); /* returns the same snapshot */
void config_unref(const Config *config);        /* NULL is fine */

/* One line a problem, errors first, to `out`. Returns the number of errors. */
size_t config_print_problems(const PwDiag *diags, FILE *out);

/* Looks the name up in [databases]. *ret_auto tells that the '*' line answered. NULL: no such database.
 * The answer lives as long as the snapshot. "*" is no name: it is answered like any unknown one. */
const DatabaseConf *config_find_database(const Config *config, const char *name, bool *ret_auto);
const UserConf *config_find_user(const Config *config, const char *name); /* NULL: no line */

size_t config_n_databases(const Config *config);                        /* with '*' */
const DatabaseConf *config_database_at(const Config *config, size_t i); /* in file order */
size_t config_n_users(const Config *config);
const UserConf *config_user_at(const Config *config, size_t i);

size_t config_n_peers(const Config *config);
const PeerConf *config_peer_at(const Config *config, size_t i); /* in file order */
const PeerConf *config_find_peer(const Config *config, int id);  /* NULL: no line */

/* The name of the database on the server for a client that asked for `name`. */
static inline const char *config_server_dbname(const DatabaseConf *db, const char *name)
{
    return db->dbname != NULL ? db->dbname : name;
}

/* Do servers of the pool have to be replaced when line a becomes line b (host, port, user, ...)? */
bool config_database_needs_reconnect(const DatabaseConf *a, const DatabaseConf *b);

/* What counts for one pool: user line, then database line, then global. With a forced user (db->user) that
 * user's line counts, not the client's. Limits: 0 is "no limit". */
typedef struct PoolSettings {
    PoolMode pool_mode;
    SessionTracking session_state; /* never UNSET */
    ListenMode listen_mode;        /* never UNSET */
    int pool_size, min_pool_size, reserve_pool_size;
    int max_db_connections, max_user_connections;
    PwUsec reserve_pool_timeout;
    PwUsec server_lifetime, server_idle_timeout;
    LoadBalanceHosts load_balance_hosts; /* never UNSET */
    const char *server_user;             /* db->user or user; borrowed */
} PoolSettings;
void config_effective(const Config *config, const DatabaseConf *db, const char *user,
                      PoolSettings *ret);

/* What counts for one client: by the user it logged in as; `db` NULL: of the console. Timeouts: 0 is "none". */
typedef struct ClientSettings {
    PwUsec query_timeout, query_wait_timeout, idle_transaction_timeout, transaction_timeout,
        client_idle_timeout;
    int max_user_client_connections, max_db_client_connections; /* 0: no limit */
} ClientSettings;
void config_effective_client(const Config *config, const DatabaseConf *db, const char *user,
                             ClientSettings *ret);

/* Rows of SHOW CONFIG: value and def may be NULL (unset). */
typedef void (*ConfigShowRow)(void *arg, const char *key, const char *value, const char *def,
                              bool changeable);
void config_show(const Config *config, ConfigShowRow row, void *arg);

/* False, and an error: the access rules could not be read, or only in part. RELOAD and SET keep the old ones then; a start goes on. */
bool config_hba_is_whole(const Config *config, PwDiag *diags);

/* A copy with one option changed (the console's SET). PW_ERR_UNKNOWN_KEY, PW_ERR_FIXED (cannot change while
 * running), PW_ERR_UNSUPPORTED (not built), PW_ERR_SYNTAX, PW_ERR_RANGE; why[CONFIG_WHY] then has a text. */
#define CONFIG_WHY 300
PW_MUSTCHECK PwErr config_with(const Config *old, const char *key, const char *value,
                               Config **ret_new, char *why);

/* Does the option `key` differ between two snapshots? (After RELOAD: settings that cannot change while running.)
 * Calls `row` for each that differs; value is the old, def the new one. */
void config_diff(const Config *old, const Config *new_config, ConfigShowRow row, void *arg);

/* Gives settings that cannot change while running the values with which the process runs. */
void config_keep_fixed(Config *config, const Config *running);

/* max_packet_size, for what a message has behind its length. */
static inline uint32_t config_payload_max(const Config *config)
{
    return config->max_packet_size > 4 ? (uint32_t)config->max_packet_size - 4 : 0;
}

const char *config_pool_mode_name(PoolMode mode); /* NULL for UNSET */
const char *config_session_state_name(SessionTracking how); /* NULL for UNSET */
const char *config_auth_type_name(AuthType type);
const char *config_load_balance_name(LoadBalanceHosts how);

#endif
