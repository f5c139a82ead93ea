/* SPDX-License-Identifier: ISC */
/* auth_step.h - what a login driver says after each message. */
#ifndef POOLER_AUTH_AUTH_STEP_H
#define POOLER_AUTH_AUTH_STEP_H

/* Longest hash of a certificate for channel binding. */
#define AUTH_HASH_MAX 64

typedef enum AuthStep {
    AUTH_STEP_CONTINUE, /* send what was appended, then wait for the peer's next message */
    AUTH_STEP_OK,       /* done; what was appended is still to be sent */
    AUTH_STEP_FAILED,   /* refuse; nothing was appended */
    AUTH_STEP_WORK,     /* nothing was appended; the machine's take_work gives what is to be run, then resume goes on */
    AUTH_STEP_COUNT
} AuthStep;

#endif
