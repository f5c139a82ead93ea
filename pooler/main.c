/* SPDX-License-Identifier: ISC */
/* main.c - the command line of the pooler. */
#include "pooler/app/app.h"
#include "poolwise/cli.h"
#include "poolwise/version.h"

#include <ares.h>
#include <event2/event.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPT_CHECK = 1000 };

static const PwCliRow rows[] = {
    {'d', 'd', "daemon", NULL, "run in the background (needs pidfile; without logfile or syslog nothing is logged)"},
    {'q', 'q', "quiet", NULL, "no log on standard error"},
    {'R', 'R', "reboot", NULL, "take over listening sockets and clients from the running pooler"},
    {'u', 'u', "user", "NAME", "become this operating system user"},
    {'v', 'v', "verbose", NULL, "log more; may be given twice"},
    {OPT_CHECK, 0, "check", NULL, "check the configuration, print all problems and exit"},
    {'V', 'V', "version", NULL, "print the version and exit"},
    {'h', 'h', "help", NULL, "print this help and exit"},
};

static const PwCli cli = {
    .program = "pooler",
    .usage = "[OPTION]... FILE.ini",
    .summary = "A connection pooler for PostgreSQL, drop-in for PgBouncer.",
    .rows = rows,
    .n_rows = sizeof(rows) / sizeof(rows[0]),
    .epilog = "Examples:\n"
              "  pooler --check /etc/poolwise/pooler.ini      what is wrong with this file?\n"
              "  pooler /etc/poolwise/pooler.ini              run in the foreground\n"
              "  pooler -d -u postgres /etc/poolwise/pooler.ini\n"
              "  pooler -R -d /etc/poolwise/pooler.ini        a new binary takes over, no client notices\n"
              "  psql -p 6432 -U admin pgbouncer              the admin console: SHOW HELP\n",
};

typedef struct Args {
    AppOptions app;
    bool check, version, help;
} Args;

static PwErr on_option(void *arg, int id, const char *value, char *why, size_t why_size)
{
    (void)why;
    (void)why_size;
    Args *a = arg;
    switch (id) {
    case 'd':
        a->app.daemon = true;
        break;
    case 'q':
        a->app.quiet = true;
        break;
    case 'R':
        a->app.reboot = true;
        break;
    case 'u':
        a->app.user = value;
        break;
    case 'v':
        a->app.verbose++;
        break;
    case OPT_CHECK:
        a->check = true;
        break;
    case 'V':
        a->version = true;
        break;
    default:
        a->help = true;
        break;
    }
    return PW_OK;
}

static int print_version(void)
{
    /* A link named pgbouncer answers to scripts that expect one. The other lines have PgBouncer's form: what was built in. */
    puts(strcmp(program_invocation_short_name, "pgbouncer") == 0 ? POOLWISE_AS_PGBOUNCER : POOLWISE_BANNER);
    printf("libevent %s\n", event_get_version());
    printf("adns: c-ares %s\n", ares_version(NULL));
    printf("tls: %s\n", OpenSSL_version(OPENSSL_VERSION));
#ifdef HAVE_SYSTEMD
    puts("systemd: yes");
#endif
    return 0;
}

int main(int argc, char **argv)
{
    Args a = {0};
    int operand;
    char why[300];
    if (pw_cli_parse(&cli, argc, argv, on_option, &a, &operand, why, sizeof(why)) != PW_OK) {
        fprintf(stderr, "pooler: %s\nTry \"pooler --help\" for more information.\n", why);
        return 1;
    }
    if (a.help) {
        char *text = pw_cli_help(&cli);
        fputs(text, stdout);
        free(text);
        return 0;
    }
    if (a.version)
        return print_version();
    if (argc - operand != 1) {
        fprintf(stderr, "pooler: one configuration file is needed, not %d\nTry \"pooler --help\" for more information.\n",
                argc - operand);
        return 1;
    }
    a.app.conffile = argv[operand];
    return a.check ? app_check(a.app.conffile) : app_run(&a.app);
}
