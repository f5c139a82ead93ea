/* SPDX-License-Identifier: ISC */
/* scram_step.h - what one step of a SCRAM exchange came to, on either side. */
#ifndef POOLER_AUTH_SCRAM_STEP_H
#define POOLER_AUTH_SCRAM_STEP_H

#define SCRAM_MECHANISM "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

typedef enum ScramStep {
    SCRAM_CONTINUE, /* send the payload, wait for the next one */
    SCRAM_OK,       /* the peer proved itself; a server still sends the payload */
    SCRAM_FAILED,   /* well-formed, but the proof is wrong */
    SCRAM_PROTOCOL, /* the peer broke the protocol, or asks for what is not to be had */
    SCRAM_WORK,     /* keys are to be derived first; nothing has changed: give them, then the same payload again */
    SCRAM_STEP_COUNT
} ScramStep;

#endif
