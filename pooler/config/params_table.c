/* SPDX-License-Identifier: ISC */
#include "pooler/config/params_table.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/config/snapshot.h"
#include "poolwise/wire.h"

/* The offset of a field, and a compile error when its type is not the one that the row's kind stores. */
#define FIELD(owner, field, type) \
    (offsetof(owner, field) +     \
     0 * sizeof(                  \
             char[__builtin_types_compatible_p(__typeof__(((owner *)0)->field), type) ? 1 : -1]))
#define ENUM_FIELD(owner, field) \
    (offsetof(owner, field) + 0 * sizeof(char[sizeof(((owner *)0)->field) == sizeof(int) ? 1 : -1]))

#define BOOL(name, def, flags, help)                                                  \
    {                                                                                 \
#name, PW_PARAM_BOOL, 0, 1, def, flags, FIELD(Config, name, bool), NULL, help \
    }
#define INT(name, min, max, def, flags, help)                                           \
    {                                                                                   \
#name, PW_PARAM_INT, min, max, def, flags, FIELD(Config, name, int), NULL, help \
    }
#define TIME(name, min, def, flags, help)                                                          \
    {                                                                                              \
#name, PW_PARAM_TIME, min, PW_PARAM_NO_MAX, def, flags, FIELD(Config, name, PwUsec), NULL, \
            help                                                                                   \
    }
#define STR(name, def, flags, help)                                                             \
    {                                                                                           \
#name, PW_PARAM_STR, 0, PW_PARAM_NO_MAX, def, flags, FIELD(Config, name, char *), NULL, \
            help                                                                                \
    }
#define PATH(name, def, flags, help)                                                               \
    {                                                                                              \
#name, PW_PARAM_PATH, 0, PATH_MAX - 1, def, flags, FIELD(Config, name, char *), NULL, help \
    }
#define LIST(name, def, flags, help)                                                       \
    {                                                                                      \
#name, PW_PARAM_LIST, 0, 0, def, flags, FIELD(Config, name, PwStrList), NULL, help \
    }
#define ENUM(name, words, def, flags, help)                                           \
    {                                                                                 \
#name, PW_PARAM_ENUM, 0, 0, def, flags, ENUM_FIELD(Config, name), words, help \
    }

#define RT     PARAM_RUNTIME
#define AUTH   PARAM_AUTH
#define INERT  PARAM_INERT
#define OURS   PARAM_OURS
#define PORT   PARAM_PORT
#define EXACT  PARAM_EXACT
#define NUMBER PARAM_NUMBER
#define SECRET PW_PARAM_SECRET
#define SEC    PW_USEC_PER_SEC

#define AUTH_QUERY                                                                         \
    "SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM " \
    "pg_authid "                                                                           \
    "WHERE rolname=$1 AND rolcanlogin"

static const PwParamWord auth_types[] = {
    {"any", AUTH_TYPE_ANY},
    {"trust", AUTH_TYPE_TRUST},
    {"plain", AUTH_TYPE_PLAIN},
    {"md5", AUTH_TYPE_MD5},
    {"cert", AUTH_TYPE_CERT},
    {"hba", AUTH_TYPE_HBA},
    {"ldap", AUTH_TYPE_LDAP},
    {"pam", AUTH_TYPE_PAM},
    {"scram-sha-256", AUTH_TYPE_SCRAM_SHA_256},
    {NULL, 0},
};
static const PwParamWord pool_modes[] = {
    {"session", POOL_MODE_SESSION},
    {"transaction", POOL_MODE_TRANSACTION},
    {"statement", POOL_MODE_STATEMENT},
    {NULL, 0},
};
static const PwParamWord io_engines[] = {
    {"auto", IO_ENGINE_AUTO},
    {"epoll", IO_ENGINE_EPOLL},
    {"io_uring", IO_ENGINE_IO_URING},
    {NULL, 0},
};
static const PwParamWord session_words[] = {
    {"off", SESSION_TRACKING_OFF},
    {"pin", SESSION_TRACKING_PIN},
    {"track", SESSION_TRACKING_TRACK},
    {NULL, 0},
};
static const PwParamWord listen_words[] = {
    {"pin", LISTEN_MODE_PIN},
    {"refuse", LISTEN_MODE_REFUSE},
    {"shared", LISTEN_MODE_SHARED},
    {NULL, 0},
};
static const PwParamWord ssl_modes[] = {
    {"disable", SSL_MODE_DISABLE},
    {"allow", SSL_MODE_ALLOW},
    {"prefer", SSL_MODE_PREFER},
    {"require", SSL_MODE_REQUIRE},
    {"verify-ca", SSL_MODE_VERIFY_CA},
    {"verify-full", SSL_MODE_VERIFY_FULL},
    {NULL, 0},
};
static const PwParamWord channel_bindings[] = {
    {"disable", CHANNEL_BINDING_DISABLE},
    {"prefer", CHANNEL_BINDING_PREFER},
    {"require", CHANNEL_BINDING_REQUIRE},
    {NULL, 0},
};
static const PwParamWord load_balance_words[] = {
    {"disable", LOAD_BALANCE_DISABLE},
    {"round-robin", LOAD_BALANCE_ROUND_ROBIN},
    {NULL, 0},
};

static const PwParamWord error_behaviours[] = {
    {"pgbouncer", ERROR_BEHAVIOUR_PGBOUNCER},
    {"postgres", ERROR_BEHAVIOUR_POSTGRES},
    {NULL, 0},
};
static const PwParamWord console_columns_words[] = {
    {"all", CONSOLE_COLUMNS_ALL},
    {"pgbouncer", CONSOLE_COLUMNS_PGBOUNCER},
    {NULL, 0},
};
static const PwParamWord protocol_versions[] = {
    {"3.0", PW_PROTO_3_0},
    {"3.2", PW_PROTO_3_2},
    {NULL, 0},
};

/* clang-format off */
static const PwParamRow rows[] = {
    LIST(admin_users, "", RT, "users who may run every console command"),
    BOOL(application_name_add_host, "0", RT, "append the client's address and port to application_name at login"),
    STR(auth_dbname, NULL, RT, "[databases] entry in which auth_query runs"),
    PATH(auth_file, NULL, RT, "file of users and passwords or secrets"),
    PATH(auth_hba_file, "", RT, "access rules, read when auth_type is hba"),
    PATH(auth_ident_file, NULL, RT, "identity maps, read when auth_type is hba"),
    STR(auth_ldap_options, NULL, RT | SECRET, "options of the directory server, used when auth_type is ldap"),
    STR(auth_query, AUTH_QUERY, RT, "query that looks up a user's secret as auth_user"),
    ENUM(auth_type, auth_types, "md5", RT | AUTH, "how clients prove who they are"),
    STR(auth_user, NULL, RT, "user that runs auth_query for users who are not in auth_file"),
    TIME(autodb_idle_timeout, 0, "3600", RT, "forget a database that came through the '*' line after this long unused"),
    TIME(cancel_wait_timeout, 0, "10", RT, "longest wait of a cancel request for a connection; 0 waits for ever"),
    TIME(client_idle_timeout, 0, "0", RT, "close a client that is idle for longer; 0 never"),
    TIME(client_login_timeout, 0, "60", RT, "close a client whose login takes longer; 0 never"),
    STR(client_tls13_ciphers, NULL, RT, "TLS 1.3 suites offered to clients"),
    PATH(client_tls_ca_file, "", RT, "authorities that sign client certificates"),
    PATH(client_tls_cert_file, "", RT, "certificate shown to clients"),
    STR(client_tls_ciphers, "default", RT, "ciphers offered to clients up to TLS 1.2"),
    STR(client_tls_dheparams, "auto", RT, "DHE parameters toward clients"),
    STR(client_tls_ecdhcurve, "auto", RT, "ECDH curve toward clients"),
    PATH(client_tls_key_file, "", RT, "private key of client_tls_cert_file"),
    STR(client_tls_protocols, "secure", RT, "TLS versions offered to clients"),
    ENUM(client_tls_sslmode, ssl_modes, "disable", RT, "whether clients may or must use TLS"),
    PATH(conffile, NULL, RT, "the file that the next RELOAD reads"),
    INT(default_pool_size, 0, INT_MAX, "20", RT, "server connections of a pool; 0 is no limit"),
    BOOL(disable_pqexec, "0", 0, "refuse the simple query protocol"),
    TIME(dns_max_ttl, 0, "15", RT, "longest time that an address is kept"),
    TIME(dns_nxdomain_ttl, 0, "15", RT, "how long a failed look-up is kept"),
    TIME(dns_zone_check_period, 0, "0", RT, "how often zone serials are checked for changes; 0 never"),
    TIME(idle_transaction_timeout, 0, "0", RT, "close a client that idles in a transaction for longer; 0 never"),
    LIST(ignore_startup_parameters, "", RT, "start-up parameters to accept and drop"),
    STR(job_name, "pgbouncer", INERT, "name of the service; used on Windows only"),
    LIST(listen_addr, "", 0, "TCP addresses or names to listen on; * is all, empty none"),
    INT(listen_backlog, -1, INT_MAX, "128", 0, "length of the kernel's queue of new connections"),
    INT(listen_port, 0, 65535, "6432", PORT, "TCP port, and the suffix of the unix socket; 0: the system chooses a TCP port"),
    BOOL(log_connections, "1", RT, "log each login"),
    BOOL(log_disconnections, "1", RT, "log each close with its reason"),
    BOOL(log_pooler_errors, "1", RT, "log each error that the pooler itself sends to a client"),
    BOOL(log_stats, "1", RT, "log a line of statistics each stats_period"),
    PATH(logfile, "", RT, "file of the log; opened again by RELOAD and SIGHUP"),
    STR(login_notify_message, "", RT, "notice that every client gets at login"),
    INT(max_client_conn, 0, INT_MAX, "100", RT, "client connections in total"),
    INT(max_db_client_connections, 0, INT_MAX, "0", RT, "client connections of one database; 0 is no limit"),
    INT(max_db_connections, 0, INT_MAX, "0", RT, "server connections of one database over all its pools; 0 is no limit"),
    INT(max_packet_size, 1, INT_MAX, "2147483647", RT, "largest message that is let through"),
    INT(max_prepared_statements, 0, INT_MAX, "200", RT, "named statements kept on each server connection; 0 switches the tracking off"),
    INT(max_user_client_connections, 0, INT_MAX, "0", RT, "client connections of one user; 0 is no limit"),
    INT(max_user_connections, 0, INT_MAX, "0", RT, "server connections of one user over all pools; 0 is no limit"),
    INT(min_pool_size, 0, INT_MAX, "0", RT, "server connections that a pool keeps open"),
    INT(peer_id, 0, 65535, "0", RT, "this process' number in a group of peers; 0 is no group"),
    PATH(pidfile, "", 0, "file with the process id; needed with -d"),
    INT(pkt_buf, 64, INT_MAX, "4096", INERT, "PgBouncer's buffer for each connection; here buffers exist only while they hold something"),
    ENUM(pool_mode, pool_modes, "session", RT, "when a server goes back to its pool"),
    TIME(pool_idle_timeout, 0, "0", RT, "free a pool without clients and servers after this long; 0 never"),
    TIME(query_timeout, 0, "0", RT, "close client and server when a query takes longer; 0 never"),
    TIME(query_wait_notify, 0, "5", RT | NUMBER, "tell a client that has waited this long for a server; 0 never"),
    TIME(query_wait_timeout, 0, "120", RT, "longest wait for a server; 0 waits for ever"),
    INT(reserve_pool_size, 0, INT_MAX, "0", RT, "further server connections that a pool may open when clients wait too long"),
    TIME(reserve_pool_timeout, 0, "5", RT, "wait after which the reserve is used; 0 switches the reserve off"),
    PATH(resolv_conf, "", 0, "resolv.conf to use in place of the system's"),
    INT(sbuf_loopcnt, 0, INT_MAX, "5", RT | INERT, "PgBouncer's reads for each wake-up; here the turn of a connection is bounded by itself"),
    INT(scram_iterations, 1, INT_MAX, "4096", RT | EXACT, "iterations of a SCRAM secret built from a plain password"),
    TIME(server_check_delay, 0, "30", RT, "a server idle for longer is checked before it is used; 0 always"),
    STR(server_check_query, "<empty>", RT, "the check; <empty> is an empty query, nothing is no check"),
    TIME(server_connect_timeout, 0, "15", RT, "longest time for connecting and login; 0 has no limit"),
    BOOL(server_fast_close, "0", RT, "in session mode close a server that is to be replaced at the end of its transaction, and its client with it"),
    TIME(server_idle_timeout, 0, "600", RT, "close a server that is idle for longer; 0 never"),
    TIME(server_lifetime, 0, "3600", RT, "close an unused server that is older; 0 uses it once"),
    TIME(server_login_retry, 0, "15", RT, "pause after a failed connect or login"),
    STR(server_reset_query, "DISCARD ALL", RT, "query that cleans a server on release in session mode"),
    BOOL(server_reset_query_always, "0", RT, "run server_reset_query in every pool mode"),
    BOOL(server_round_robin, "0", RT, "use idle servers in turn, not the last used first"),
    STR(server_tls13_ciphers, NULL, RT, "TLS 1.3 suites offered to servers"),
    PATH(server_tls_ca_file, "", RT, "authorities that sign server certificates; empty: those of the system"),
    PATH(server_tls_cert_file, "", RT, "certificate shown to servers"),
    STR(server_tls_ciphers, "default", RT, "ciphers offered to servers up to TLS 1.2"),
    PATH(server_tls_key_file, "", RT, "private key of server_tls_cert_file"),
    STR(server_tls_protocols, "secure", RT, "TLS versions offered to servers"),
    ENUM(server_tls_sslmode, ssl_modes, "prefer", RT, "whether servers are reached by TLS"),
    BOOL(so_reuseport, "0", 0, "let several processes listen on the same port"),
    TIME(stats_period, SEC, "60", RT | NUMBER, "time over which averages are taken"),
    LIST(stats_users, "", RT, "users who may run SHOW"),
    TIME(suspend_timeout, 0, "10", RT, "close connections that SUSPEND cannot flush in time"),
    BOOL(syslog, "0", RT, "log to syslog"),
    STR(syslog_facility, "daemon", RT, "facility in syslog: auth, authpriv, daemon, user, local0 to local7"),
    STR(syslog_ident, "pgbouncer", RT, "name in syslog; PgBouncer's, so that filters of a log go on working"),
    BOOL(tcp_defer_accept, "1", RT, "wake up for a new connection only when it has sent something"),
    BOOL(tcp_keepalive, "1", RT, "keepalive on TCP connections"),
    INT(tcp_keepcnt, 0, INT_MAX, "0", RT, "keepalive probes before a connection is given up; 0 is the system's"),
    INT(tcp_keepidle, 0, INT_MAX, "0", RT, "seconds before the first keepalive probe; 0 is the system's"),
    INT(tcp_keepintvl, 0, INT_MAX, "0", RT, "seconds between keepalive probes; 0 is the system's"),
    INT(tcp_socket_buffer, 0, INT_MAX, "0", RT, "bytes of the kernel's buffers; 0 is the system's"),
    INT(tcp_user_timeout, 0, INT_MAX, "0", RT, "milliseconds that sent bytes may stay unacknowledged; 0 is the system's"),
    LIST(track_extra_parameters, "IntervalStyle", 0, "further parameters that a client may give at login and that are kept for it; * is all"),
    TIME(transaction_timeout, 0, "0", RT, "close client and server when a transaction takes longer; 0 never"),
    PATH(unix_socket_dir, "/tmp", 0, "folder of the unix socket and default host; @name is abstract, empty none"),
    STR(unix_socket_group, "", 0, "group of the socket file"),
    INT(unix_socket_mode, 0, 07777, "0777", 0, "mode of the socket file"),
    STR(user, NULL, 0, "user of the operating system to become at start"),
    INT(verbose, 0, INT_MAX, NULL, RT, "how much is logged: 0 to 3, like -v repeated"),

    ENUM(client_channel_binding, channel_bindings, "prefer", RT | OURS, "whether SCRAM logins of clients with TLS are bound to the certificate shown to them"),
    ENUM(client_max_protocol_version, protocol_versions, "3.0", RT | OURS, "newest protocol version spoken with clients: 3.0, or 3.2 with its longer cancel keys"),
    BOOL(client_tls_session_tickets, "0", RT | OURS, "give clients session tickets, so that they can shorten the TLS handshakes of their next connections; never where client certificates are asked for"),
    ENUM(console_columns, console_columns_words, "all", RT | OURS, "which columns SHOW has: all, or PgBouncer's alone (SHOW VERSION then names it alone), for tools that count columns"),
    ENUM(error_behaviour, error_behaviours, "pgbouncer", RT | OURS, "how the pooler's own errors look: as PgBouncer's, or with what PostgreSQL would say and do"),
    ENUM(io_engine, io_engines, "auto", OURS, "epoll, or io_uring for sends: those of one turn of the event loop in one system call; auto takes io_uring where the system allows it"),
    ENUM(listen_mode, listen_words, "pin", RT | OURS, "what LISTEN does in transaction and statement mode: pin keeps the server for its client, refuse answers with an error, shared lets one more server connection listen for all clients of the pool"),
    INT(listen_queue_size, 16384, INT_MAX, "1048576", RT | OURS, "bytes of notifications that wait for one client with listen_mode = shared; more are lost, and it gets a warning"),
    INT(max_queries_observed, 1, INT_MAX, "5000", RT | OURS, "different queries counted; the rest counts as one"),
    PATH(query_log, "", RT | OURS, "file for the observed queries, one line of JSON each; empty none"),
    TIME(query_log_interval, SEC, "60", RT | OURS, "how often query_log is written"),
    INT(query_log_samples, 0, 1000, "0", RT | OURS, "values kept as samples for each query; 0 lets no value leave the process"),
    BOOL(query_observation, "1", RT | OURS, "count queries by their shape, for SHOW QUERIES and query_log"),
    ENUM(server_channel_binding, channel_bindings, "prefer", RT | OURS, "whether SCRAM logins to servers with TLS are bound to the certificate they show"),
    ENUM(server_max_protocol_version, protocol_versions, "3.0", RT | OURS, "newest protocol version asked of servers: 3.0, or 3.2 with its longer cancel keys"),
    TIME(server_recovery_timeout, 0, "10", RT | OURS, "longest time to bring a server back whose client died; then it is closed"),
    ENUM(session_state, session_words, "track", RT | OURS, "session state in transaction and statement mode: track follows it, pin keeps the server instead, off loses it as PgBouncer does"),
    INT(worker_threads, 0, 64, "0", OURS, "threads that serve clients; 0 is one for each core"),
};
/* clang-format on */

const PwParamTable config_params = {rows, PW_ARRAY_LEN(rows)};

/* Words of auth_type that this build cannot do. */
static const char *const missing_auth[] = {
#ifndef HAVE_LDAP
    "ldap",
#endif
#ifndef HAVE_PAM
    "pam",
#endif
    NULL,
};

const char *config_missing_auth(const PwParamRow *row, const void *base)
{
    char *value = (row->flags & PARAM_AUTH) != 0 ? pw_param_print(row, base) : NULL;
    const char *found = NULL;
    for (size_t i = 0; value != NULL && missing_auth[i] != NULL; i++)
        if (strcmp(value, missing_auth[i]) == 0)
            found = missing_auth[i];
    free(value);
    return found;
}

/* ---- [databases] and [users]: a number that the line does not give is -1 ---------------------- */

#define UNSET PW_PARAM_NEGATIVE_UNSET
#define DB_STR(name, min, flags, help)                                                             \
    {                                                                                              \
#name, PW_PARAM_STR, min, PW_PARAM_NO_MAX, NULL, flags, FIELD(DatabaseConf, name, char *), \
            NULL, help                                                                             \
    }
#define LINE_INT(owner, name, help)                                                       \
    {                                                                                     \
#name, PW_PARAM_INT, 0, INT_MAX, NULL, UNSET, FIELD(owner, name, int), NULL, help \
    }
#define LINE_TIME(owner, name, help)                                                             \
    {                                                                                            \
#name, PW_PARAM_TIME, 0, PW_PARAM_NO_MAX, NULL, UNSET, FIELD(owner, name, PwUsec), NULL, \
            help                                                                                 \
    }
#define LINE_ENUM(owner, name, words, help)                                           \
    {                                                                                 \
#name, PW_PARAM_ENUM, 0, 0, NULL, UNSET, ENUM_FIELD(owner, name), words, help \
    }

/* clang-format off */
static const PwParamRow database_rows[] = {
    DB_STR(dbname, 1, 0, "database on the server; default: the name of the line"),
    DB_STR(host, 1, 0, "address, name, /folder, @abstract socket, or a comma list of them; default: unix_socket_dir"),
    {"port", PW_PARAM_INT, 1, 65535, "5432", PORT, FIELD(DatabaseConf, port, int), NULL, "port of the server, or a comma list with one for each host"},
    DB_STR(user, 1, 0, "log in to the server as this user, whoever the client is: one pool for the database"),
    DB_STR(password, 1, SECRET, "password of user; default: the one of auth_file"),
    DB_STR(auth_user, 1, 0, "auth_user for this database"),
    DB_STR(auth_query, 1, 0, "auth_query for this database"),
    DB_STR(auth_dbname, 1, 0, "auth_dbname for this database"),
    LINE_INT(DatabaseConf, pool_size, "default_pool_size for this database"),
    LINE_INT(DatabaseConf, min_pool_size, "min_pool_size for this database"),
    LINE_INT(DatabaseConf, reserve_pool_size, "reserve_pool_size for this database (reserve_pool is the same)"),
    LINE_ENUM(DatabaseConf, pool_mode, pool_modes, "pool_mode for this database"),
    LINE_ENUM(DatabaseConf, session_state, session_words, "session_state for this database"),
    LINE_ENUM(DatabaseConf, listen_mode, listen_words, "listen_mode for this database"),
    LINE_INT(DatabaseConf, max_db_connections, "max_db_connections for this database; 0 takes the global value"),
    LINE_INT(DatabaseConf, max_db_client_connections, "max_db_client_connections for this database; 0 takes the global value"),
    LINE_TIME(DatabaseConf, server_lifetime, "server_lifetime for this database; 0 takes the global value"),
    LINE_TIME(DatabaseConf, query_wait_timeout, "query_wait_timeout for this database; 0 waits for ever"),
    LINE_ENUM(DatabaseConf, load_balance_hosts, load_balance_words, "how hosts of a list are chosen: round-robin, or disable to stay on one until it fails"),
    DB_STR(connect_query, 1, 0, "query that runs on each new server connection; its errors are logged and ignored"),
    DB_STR(client_encoding, 1, 0, "client_encoding asked for at login to the server"),
    DB_STR(datestyle, 1, 0, "DateStyle asked for at login to the server"),
    DB_STR(timezone, 1, 0, "TimeZone asked for at login to the server"),
    DB_STR(application_name, 1, 0, "application_name given at login to the server"),
};
static const PwParamRow user_rows[] = {
    LINE_INT(UserConf, pool_size, "size of this user's pools"),
    LINE_INT(UserConf, reserve_pool_size, "reserve_pool_size of this user's pools"),
    LINE_ENUM(UserConf, pool_mode, pool_modes, "pool_mode of this user"),
    LINE_ENUM(UserConf, session_state, session_words, "session_state of this user"),
    LINE_ENUM(UserConf, listen_mode, listen_words, "listen_mode of this user"),
    LINE_INT(UserConf, max_user_connections, "max_user_connections of this user; 0 takes the global value"),
    LINE_INT(UserConf, max_user_client_connections, "max_user_client_connections of this user; 0 takes the global value"),
    LINE_TIME(UserConf, query_timeout, "query_timeout of this user"),
    LINE_TIME(UserConf, query_wait_timeout, "query_wait_timeout of this user"),
    LINE_TIME(UserConf, idle_transaction_timeout, "idle_transaction_timeout of this user"),
    LINE_TIME(UserConf, transaction_timeout, "transaction_timeout of this user"),
    LINE_TIME(UserConf, client_idle_timeout, "client_idle_timeout of this user"),
};
static const PwParamRow peer_rows[] = {
    {"host", PW_PARAM_STR, 1, PW_PARAM_NO_MAX, NULL, 0, FIELD(PeerConf, host, char *), NULL, "address, name, /folder or @abstract socket of the other process"},
    {"port", PW_PARAM_INT, 1, 65535, "6432", PORT, FIELD(PeerConf, port, int), NULL, "its listen_port"},
    LINE_INT(PeerConf, pool_size, "cancel requests to it that may be under way at once; default: default_pool_size"),
};
/* clang-format on */

const PwParamTable config_database_params = {database_rows, PW_ARRAY_LEN(database_rows)};
const PwParamTable config_user_params = {user_rows, PW_ARRAY_LEN(user_rows)};
const PwParamTable config_peer_params = {peer_rows, PW_ARRAY_LEN(peer_rows)};
