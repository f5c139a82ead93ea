/* SPDX-License-Identifier: ISC */
#include "pooler/app/signals.h"

#include "poolwise/mem.h"

#include <event2/event.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

typedef void (*Handler)(void *arg);

static const struct {
    int number;
    size_t handler; /* its place in SignalHandlers */
} rows[] = {
    {SIGHUP, offsetof(SignalHandlers, on_hup)},   {SIGINT, offsetof(SignalHandlers, on_int)},
    {SIGTERM, offsetof(SignalHandlers, on_term)}, {SIGQUIT, offsetof(SignalHandlers, on_quit)},
    {SIGUSR1, offsetof(SignalHandlers, on_usr1)}, {SIGUSR2, offsetof(SignalHandlers, on_usr2)},
};

struct Signals {
    SignalHandlers handlers;
    struct event *events[PW_ARRAY_LEN(rows)];
};

static Handler handler_of(const Signals *s, size_t i)
{
    return *(const Handler *)(const void *)((const char *)&s->handlers + rows[i].handler);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    Signals *s = arg;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        if (rows[i].number == number) {
            handler_of(s, i)(s->handlers.arg);
            return; /* the handler may have destroyed us */
        }
    }
}

PwErr signals_create(struct event_base *base, const SignalHandlers *handlers, Signals **ret_signals)
{
    Signals *s = pw_xcalloc(1, sizeof(*s));
    s->handlers = *handlers;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++) {
        if (handler_of(s, i) == NULL)
            continue;
        s->events[i] = evsignal_new(base, rows[i].number, on_signal, s);
        if (s->events[i] == NULL || event_add(s->events[i], NULL) < 0) {
            signals_destroy(s);
            return PW_ERR_NOMEM;
        }
    }
    /* A peer that closed is an error of write(), not a reason to die. */
    (void)signal(SIGPIPE, SIG_IGN);
    *ret_signals = s;
    return PW_OK;
}

void signals_destroy(Signals *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++)
        if (s->events[i] != NULL)
            event_free(s->events[i]);
    free(s);
}

void signals_block_in_thread(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    for (size_t i = 0; i < PW_ARRAY_LEN(rows); i++)
        sigaddset(&set, rows[i].number);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}
