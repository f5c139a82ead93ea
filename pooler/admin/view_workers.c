/* SPDX-License-Identifier: ISC */
/* view_workers.c - SHOW WORKERS: one row a worker thread. */
#include "pooler/admin/admin_priv.h"

static const AdminColumn worker_columns[] = {
    {"worker", ADMIN_INT4, "its number"},
    {"clients", ADMIN_INT4, "its clients, consoles and logins included"},
    {"sv_active", ADMIN_INT4, "its servers that are linked to a client or run something of the pooler's own"},
    {"sv_idle", ADMIN_INT4, "its idle servers"},
    {"sv_login", ADMIN_INT4, "its servers that are being connected"},
    {"handovers_in", ADMIN_INT8, "servers that came from other workers"},
    {"handovers_out", ADMIN_INT8, "servers that went to other workers"},
    {"turns", ADMIN_INT8, "turns of its event loop"},
    {"queries", ADMIN_INT8, "queries that it passed"},
    {"xacts", ADMIN_INT8, "transactions that it passed"},
    {"accepted", ADMIN_INT8, "connections that it was given"},
    {"cancels", ADMIN_INT8, "cancel requests that it sent to servers"},
    {"batched_sends", ADMIN_INT8, "sends that shared a system call with others (io_engine = io_uring)"},
    {"tls_full", ADMIN_INT8, "full TLS handshakes with clients"},
    {"tls_resumed", ADMIN_INT8, "TLS handshakes that went on with an earlier session of the client's"},
    {"logins_paced", ADMIN_INT8, "times that logins or farewells were left for its next turn, so as not to hold up queries"},
};

static void visit(WorkerCtx *ctx, AdminShow *show)
{
    AdminResult *r = &show->result;
    int clients = 0, active = 0, idle = 0, login = 0;
    uint64_t in = 0, out = 0;
    const Client *c;
    TAILQ_FOREACH(c, &ctx->clients, link)
        clients++;
    const PoolLocal *local;
    TAILQ_FOREACH(local, &ctx->pools, link) {
        const PoolServer *ps;
        TAILQ_FOREACH(ps, &local->shard->active, link)
            active++;
        TAILQ_FOREACH(ps, &local->shard->idle, link)
            idle++;
        TAILQ_FOREACH(ps, &local->shard->connecting, link)
            login++;
        in += local->shard->handovers_in;
        out += local->shard->handovers_out;
    }
    admin_row_begin(r, NULL);
    admin_row_int(r, ctx->worker->index);
    admin_row_int(r, clients);
    admin_row_int(r, active);
    admin_row_int(r, idle);
    admin_row_int(r, login);
    admin_row_count(r, in);
    admin_row_count(r, out);
    admin_row_count(r, ctx->worker->turns);
    admin_row_count(r, ctx->queries_done);
    admin_row_count(r, ctx->xacts_done);
    admin_row_count(r, ctx->accepted);
    admin_row_count(r, ctx->cancels);
    admin_row_count(r, ctx->worker->batch ? send_batch_sends(ctx->worker->batch) : 0);
    admin_row_count(r, ctx->tls_full);
    admin_row_count(r, ctx->tls_resumed);
    admin_row_count(r, ctx->logins_paced);
    admin_row_end(r);
}

const AdminView admin_view_workers = {
    .name = "workers", .columns = worker_columns, .n_columns = PW_ARRAY_LEN(worker_columns), .visit = visit,
    .help = "one row for each worker thread: what it has and what it did",
};
