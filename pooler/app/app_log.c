/* SPDX-License-Identifier: ISC */
#include "pooler/app/app_priv.h"
#include "poolwise/log.h"

PwErr app_log_configure(const Config *c)
{
    PwLogTarget t = {
        .file = c->logfile,
        .to_stderr = !app.options.quiet,
        .stderr_problems = app.options.daemon, /* until it is up; daemon_ready() takes stderr away */
        .to_syslog = c->syslog,
        .syslog_ident = c->syslog_ident,
        .syslog_facility = c->syslog_facility,
    };
    int verbose = app.options.verbose > c->verbose ? app.options.verbose : c->verbose;
    pw_log_set_level(verbose >= 2 ? PW_LOG_NOISE : verbose == 1 ? PW_LOG_DEBUG : PW_LOG_LOG);
    return pw_log_configure(&t);
}
