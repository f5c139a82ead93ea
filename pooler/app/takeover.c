/* SPDX-License-Identifier: ISC */
#include "pooler/app/takeover.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pooler/app/takeover_marks.h"
#include "pooler/auth/base64.h"
#include "pooler/client/client.h"
#include "pooler/net/addr.h"
#include "pooler/net/fdpass.h"
#include "pooler/session/settings.h"
#include "poolwise/buf.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* Step 1: how long one answer may take. */
#define PATIENCE_SEC 10
/* Step 3: pause when no client was at rest. */
#define PAUSE_MS 50
/* For what else needs one meanwhile. */
#define SPARE_FDS 8
#define READ_SIZE 65536
/* A client's state: its statements are the large part. */
#define ANSWER_MAX (256 * 1024 * 1024)

/* Descriptors that came and whose rows have not been read yet, in order. */
typedef struct Arrived {
    int *fds;
    size_t n, size;
} Arrived;

/* A command whose answer is still to come, in order. */
typedef struct Ask {
    void (*done)(void *arg); /* of a cancel request; NULL: HANDOVER DONE or CLIENTS */
    void *arg;
    STAILQ_ENTRY(Ask) link;
} Ask;

static struct Takeover {
    int fd; /* the old process's console; -1: none */
    PwBuf in;
    Arrived arrived;
    int *sockets; /* step 1 */
    size_t n_sockets;
    STAILQ_HEAD(, Ask) asks;
    size_t rows; /* of the present answer */
    bool reading_marks; /* step 1: rows are those of SHOW */
    uint64_t moved;
    bool room_told;
    struct event *readable, *pause;
} t = {.fd = -1, .asks = STAILQ_HEAD_INITIALIZER(t.asks)};

static PW_ATOMIC(int) active; /* steps 2 and 3 are going on */

/* ---- messages ---- */

static PwErr send_all(const PwBuf *out)
{
    size_t sent = 0, n = pw_buf_unread(out);
    while (sent < n) { /* commands are far smaller than a socket's buffer */
        ssize_t k = send(t.fd, pw_buf_head(out) + sent, n - sent, MSG_NOSIGNAL);
        if (k < 0 && errno != EINTR)
            return PW_ERR_IO;
        sent += k > 0 ? (size_t)k : 0;
    }
    return PW_OK;
}

static PwErr ask_then(const char *command, void (*done)(void *arg), void *arg)
{
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_query(&out, command);
    PwErr err = send_all(&out);
    pw_buf_finish(&out);
    if (err != PW_OK)
        return err;
    Ask *a = pw_xcalloc(1, sizeof(*a));
    a->done = done;
    a->arg = arg;
    STAILQ_INSERT_TAIL(&t.asks, a, link);
    return PW_OK;
}

static PwErr ask(const char *command)
{
    return ask_then(command, NULL, NULL);
}

/* The oldest is answered; true: it was a cancel request. */
static bool answered(void)
{
    Ask *a = STAILQ_FIRST(&t.asks);
    if (!a)
        return false;
    bool is_cancel = a->done != NULL;
    STAILQ_REMOVE_HEAD(&t.asks, link);
    if (is_cancel)
        a->done(a->arg);
    free(a);
    return is_cancel;
}

static PwErr greet(void)
{
    PwBuf out;
    pw_buf_init(&out);
    size_t mark = pw_msg_begin(&out, 0);
    pw_buf_append_be32(&out, PW_PROTO_3_0);
    pw_buf_append_cstr(&out, "user");
    pw_buf_append_cstr(&out, "pgbouncer");
    pw_buf_append_cstr(&out, "database");
    pw_buf_append_cstr(&out, "pgbouncer");
    pw_buf_append_u8(&out, 0);
    pw_msg_end(&out, mark);
    PwErr err = send_all(&out);
    pw_buf_finish(&out);
    return err;
}

static void arrived_add(Arrived *a, const int *fds, size_t n)
{
    if (n == 0)
        return;
    if (a->n + n > a->size) {
        a->size = 2 * (a->n + n);
        a->fds = pw_xrealloc(a->fds, a->size * sizeof(*a->fds));
    }
    memcpy(a->fds + a->n, fds, n * sizeof(*fds));
    a->n += n;
}

/* The oldest; -1: none. */
static int arrived_take(Arrived *a)
{
    if (a->n == 0)
        return -1;
    int fd = a->fds[0];
    memmove(a->fds, a->fds + 1, --a->n * sizeof(*a->fds));
    return fd;
}

/* PW_ERR_AGAIN: nothing there now. */
static PwErr receive(void)
{
    uint8_t bytes[READ_SIZE];
    int fds[FDPASS_MAX];
    size_t n_fds;
    ssize_t n = fdpass_recv(t.fd, bytes, sizeof(bytes), fds, &n_fds);
    if (n == -1)
        return PW_ERR_AGAIN;
    if (n <= 0)
        return n == 0 ? PW_ERR_CLOSED : PW_ERR_IO;
    arrived_add(&t.arrived, fds, n_fds);
    pw_buf_append(&t.in, bytes, (size_t)n);
    pw_wipe(bytes, (size_t)n);
    return PW_OK;
}

/* ---- rows ---- */

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The one column of a row, \x and hex digits, in place. False: not of this form. */
static bool read_row(uint8_t *payload, size_t n, uint8_t **ret_state, size_t *ret_n)
{
    if (n < 8 || pw_be16(payload) != 1 || pw_be32(payload + 2) != n - 6 || n % 2 || payload[6] != '\\' || payload[7] != 'x')
        return false;
    for (size_t i = 8, to = 8; i < n; i += 2, to++) {
        int high = hex(payload[i]), low = hex(payload[i + 1]);
        if (high < 0 || low < 0)
            return false;
        payload[to] = (uint8_t)(high << 4 | low);
    }
    *ret_state = payload + 8;
    *ret_n = (n - 8) / 2;
    return true;
}

static void on_row(uint8_t *payload, size_t n)
{
    uint8_t *state;
    size_t n_state;
    int fd = arrived_take(&t.arrived);
    if (fd < 0 || !read_row(payload, n, &state, &n_state)) {
        pw_log(PW_LOG_WARNING, "takeover: a row without a socket");
        if (fd >= 0)
            close(fd);
        return;
    }
    t.rows++;
    if (n_state == 0) {
        t.sockets = pw_xrealloc(t.sockets, (t.n_sockets + 1) * sizeof(*t.sockets));
        t.sockets[t.n_sockets++] = fd;
        return;
    }
    t.moved++;
    client_adopt(fd, state, n_state);
}

/* Reads the next whole message: PW_ERR_AGAIN: not all there; *ret_type is 'Z' at an answer's end. Errors of the old
 * process go to `why`. */
static PwErr next_message(uint8_t *ret_type, char *why, size_t why_size)
{
    if (pw_buf_unread(&t.in) < PW_WIRE_HEADER)
        return PW_ERR_AGAIN;
    uint8_t *p = t.in.data + t.in.off;
    uint32_t len = pw_be32(p + 1);
    if (!pw_msg_backend(p[0])->name || len < 4 || len > ANSWER_MAX)
        return PW_ERR_PROTOCOL;
    if (pw_buf_unread(&t.in) < (size_t)len + 1)
        return PW_ERR_AGAIN;
    uint8_t *payload = p + PW_WIRE_HEADER;
    size_t n = len - 4;
    *ret_type = p[0];
    PwErr err = PW_OK;
    if (t.reading_marks && (p[0] == PW_B_DATA_ROW || p[0] == PW_B_ROW_DESC)) {
        (p[0] == PW_B_DATA_ROW ? takeover_marks_row : takeover_marks_columns)(payload, n);
    } else if (p[0] == PW_B_DATA_ROW) {
        on_row(payload, n);
    } else if (p[0] == PW_B_ERROR) {
        const char *text = pw_error_field(payload, n, 'M');
        snprintf(why, why_size, "the running process says: %s", text ? text : "?");
        err = PW_ERR_UNSUPPORTED;
    } else if (p[0] == PW_B_AUTH && (n < 4 || pw_be32(payload) != 0)) {
        snprintf(why, why_size, "the running process does not let user pgbouncer in without a password: it must belong to the same user");
        err = PW_ERR_AUTH;
    }
    pw_wipe(p, (size_t)len + 1);
    pw_buf_consume(&t.in, (size_t)len + 1);
    return err;
}

/* ---- step 1 ---- */

static PwErr wait_for_answer(char *why, size_t why_size)
{
    for (;;) {
        uint8_t type = 0;
        PwErr err = next_message(&type, why, why_size);
        if (err == PW_OK && type == PW_B_READY)
            return PW_OK;
        if (err == PW_ERR_AGAIN && (err = receive()) != PW_OK) {
            snprintf(why, why_size, "no answer from the running process: %s",
                     err == PW_ERR_AGAIN ? "timed out" : err == PW_ERR_IO ? strerror(errno) : pw_err_text(err));
            return err == PW_ERR_AGAIN ? PW_ERR_TIMEOUT : err;
        }
        if (err == PW_ERR_PROTOCOL)
            snprintf(why, why_size, "the running process answers something else than rows");
        if (err != PW_OK)
            return err;
    }
}

static PwErr connect_to(const char *unix_socket_dir, uint16_t port)
{
    NetAddr addr;
    const struct timeval patience = {.tv_sec = PATIENCE_SEC};
    if (net_addr_in_unix_dir(unix_socket_dir, port, &addr) != PW_OK)
        return PW_ERR_NOT_FOUND;
    t.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t.fd < 0 || setsockopt(t.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0)
        return PW_ERR_IO;
    if (connect(t.fd, net_addr_sa(&addr), addr.len) == 0)
        return PW_OK;
    return errno == ENOENT || errno == ECONNREFUSED ? PW_ERR_NOT_FOUND : PW_ERR_IO;
}

static PwErr read_marks(char *why, size_t why_size)
{
    static const char *const questions[] = {"SHOW STATE", "SHOW DATABASES"};
    PwErr err = PW_OK;
    t.reading_marks = true;
    for (size_t i = 0; i < PW_ARRAY_LEN(questions) && err == PW_OK; i++)
        if ((err = ask(questions[i])) == PW_OK)
            err = wait_for_answer(why, why_size);
    t.reading_marks = false;
    return err;
}

PwErr takeover_begin(const char *unix_socket_dir, uint16_t port, char *why, size_t why_size)
{
    if (!unix_socket_dir || !unix_socket_dir[0])
        return PW_ERR_NOT_FOUND;
    pw_buf_init(&t.in);
    PwErr err = connect_to(unix_socket_dir, port);
    if (err == PW_ERR_IO)
        snprintf(why, why_size, "%s", strerror(errno));
    if (err == PW_OK && (err = greet()) == PW_OK && (err = wait_for_answer(why, why_size)) == PW_OK &&
        (err = ask("HANDOVER SOCKETS")) == PW_OK)
        err = wait_for_answer(why, why_size);
    if (err == PW_OK)
        err = read_marks(why, why_size);
    while (!STAILQ_EMPTY(&t.asks))
        answered();
    t.rows = 0;
    if (err == PW_OK && t.n_sockets == 0) {
        snprintf(why, why_size, "the running process has no listening sockets left, it is shutting down");
        err = PW_ERR_SHUTDOWN;
    }
    if (err != PW_OK)
        takeover_finish();
    return err;
}

size_t takeover_sockets(int *ret_fds, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < t.n_sockets; i++) {
        if (n < most)
            ret_fds[n++] = t.sockets[i];
        else
            close(t.sockets[i]);
    }
    free(t.sockets);
    t.sockets = NULL;
    t.n_sockets = 0;
    return n;
}

/* ---- steps 2 and 3 ---- */

static void ended(const char *reason)
{
    pw_log(PW_LOG_LOG, "takeover: %s, %llu clients moved", reason, (unsigned long long)t.moved);
    takeover_finish();
}

/* For the descriptors of one answer: the kernel throws away those for which there is none, and so their clients. */
static bool has_room(void)
{
    int fds[CLIENT_HANDOVER_AT_ONCE + SPARE_FDS];
    size_t n = 0;
    while (n < PW_ARRAY_LEN(fds) && (fds[n] = fcntl(t.fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        n++;
    bool all = n == PW_ARRAY_LEN(fds);
    while (n > 0)
        close(fds[--n]);
    return all;
}

static void ask_for_clients(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    (void)fd;
    (void)what;
    (void)arg;
    if (!has_room()) {
        if (!t.room_told)
            pw_log(PW_LOG_WARNING, "takeover: clients stay with the old process: too few descriptors are left (hint: raise the limit of open files, it must be that of the old process)");
        t.room_told = true;
        event_add(t.pause, &pause);
        return;
    }
    if (ask("HANDOVER " CLIENT_HANDOVER_CLIENTS) != PW_OK)
        ended("the old process has ended");
}

static void on_answer(void)
{
    static const struct timeval pause = {.tv_usec = PAUSE_MS * 1000};
    size_t rows = t.rows;
    if (answered())
        return;
    t.rows = 0;
    if (rows > 0)
        ask_for_clients(-1, 0, NULL);
    else
        event_add(t.pause, &pause);
}

static bool waits_for_cancel(void)
{
    return !STAILQ_EMPTY(&t.asks) && STAILQ_FIRST(&t.asks)->done != NULL;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    char why[200] = "the old process answers something else than rows";
    PwErr err = receive();
    while (err == PW_OK && t.fd >= 0) {
        uint8_t type = 0;
        err = next_message(&type, why, sizeof(why));
        if (err == PW_ERR_UNSUPPORTED && waits_for_cancel())
            err = PW_OK; /* an error instead of a cancel: as good an end as any */
        if (err == PW_OK && type == PW_B_READY)
            on_answer();
    }
    if (t.fd < 0 || err == PW_ERR_AGAIN)
        return;
    if (err == PW_ERR_IO && errno == EMFILE)
        ended("no descriptors left, clients are lost");
    else
        ended(err == PW_ERR_CLOSED || err == PW_ERR_IO ? "the old process has ended" : why);
}

/* ---- cancel requests for clients that are still there ---- */

typedef struct Foreign {
    MailNode node;
    CancelKey key;
    void (*done)(void *arg);
    void *arg;
} Foreign;

/* On the main worker. */
static void on_foreign(MailNode *node)
{
    Foreign *f = (Foreign *)node;
    uint8_t wire[CANCEL_KEY_LONG];
    PwBuf command;
    pw_buf_init(&command);
    cancel_key_write(&f->key, f->key.hops, wire);
    pw_buf_append_str(&command, "HANDOVER \"CANCEL_");
    base64_append(&command, wire, f->key.len);
    pw_buf_append_cstr(&command, "\"");
    if (t.fd < 0 || ask_then((const char *)pw_buf_head(&command), f->done, f->arg) != PW_OK)
        f->done(f->arg);
    pw_buf_finish(&command);
    free(f);
}

static bool foreign_cancel(const CancelKey *key, void (*done)(void *arg), void *arg)
{
    if (!pw_atomic_load(&active))
        return false;
    Foreign *f = pw_xcalloc(1, sizeof(*f));
    f->node.run = on_foreign;
    f->key = *key;
    f->done = done;
    f->arg = arg;
    worker_post(0, &f->node);
    return true;
}

/* ---- RESUME for clients that still wait there ---- */

typedef struct Resume {
    MailNode node;
    PwBuf command;
} Resume;

static void on_resumed(void *arg)
{
    (void)arg; /* whether something was paused there is no matter */
}

/* On the main worker. */
static void on_resume(MailNode *node)
{
    Resume *r = (Resume *)node;
    if (t.fd >= 0)
        (void)ask_then((const char *)pw_buf_head(&r->command), on_resumed, NULL);
    pw_buf_finish(&r->command);
    free(r);
}

void takeover_resume(const char *database)
{
    if (!pw_atomic_load(&active))
        return;
    Resume *r = pw_xcalloc(1, sizeof(*r));
    r->node.run = on_resume;
    pw_buf_init(&r->command);
    pw_buf_append_str(&r->command, "RESUME");
    if (database) {
        pw_buf_append_u8(&r->command, ' ');
        settings_append_identifier(&r->command, database);
    }
    pw_buf_append_u8(&r->command, 0);
    worker_post(0, &r->node);
}

/* ---- replaced while we replace ---- */

/* On the main worker. */
static void on_pass_on(MailNode *node)
{
    free(node);
    if (t.fd >= 0)
        (void)ask_then("HANDOVER DONE", on_resumed, NULL);
}

void takeover_pass_on(void)
{
    if (!pw_atomic_load(&active))
        return;
    MailNode *node = pw_xcalloc(1, sizeof(*node));
    node->run = on_pass_on;
    worker_post(0, node);
}

void takeover_prepare(void)
{
    if (t.fd < 0)
        return;
    pw_atomic_store(&active, 1);
    client_set_foreign_cancel(foreign_cancel);
}

void takeover_continue(struct event_base *base)
{
    if (t.fd < 0)
        return;
    t.readable = event_new(base, t.fd, EV_READ | EV_PERSIST, on_readable, NULL);
    t.pause = event_new(base, -1, 0, ask_for_clients, NULL);
    if (!t.readable || !t.pause || evutil_make_socket_nonblocking(t.fd) != 0 || event_add(t.readable, NULL) != 0 ||
        ask("HANDOVER DONE") != PW_OK)
        ended("the old process cannot be told");
}

/* That we end, or go on without it, as we mean to: without a word we are dead, and the old process accepts again. */
static void say_bye(void)
{
    PwBuf out;
    pw_buf_init(&out);
    pw_msg_end(&out, pw_msg_begin(&out, PW_F_TERMINATE));
    (void)send_all(&out);
    pw_buf_finish(&out);
}

void takeover_finish(void)
{
    int fd;
    if (t.fd >= 0)
        say_bye();
    pw_atomic_store(&active, 0);
    while (!STAILQ_EMPTY(&t.asks))
        answered();
    if (t.readable)
        event_free(t.readable);
    if (t.pause)
        event_free(t.pause);
    t.readable = t.pause = NULL;
    while ((fd = arrived_take(&t.arrived)) >= 0)
        close(fd);
    free(t.arrived.fds);
    t.arrived = (Arrived){0};
    for (size_t i = 0; i < t.n_sockets; i++)
        close(t.sockets[i]);
    free(t.sockets);
    t.sockets = NULL;
    t.n_sockets = 0;
    pw_buf_finish(&t.in);
    if (t.fd >= 0)
        close(t.fd);
    t.fd = -1;
}
