/* SPDX-License-Identifier: ISC */
/* machine.h - what a configuration asks for and this machine does not have: folders, users, addresses.
 *
 * For --check only: warnings, because the file may be meant for another machine. May block on DNS. */
#ifndef POOLER_APP_MACHINE_H
#define POOLER_APP_MACHINE_H

#include "pooler/config/snapshot.h"
#include "poolwise/diag.h"

void machine_check(const Config *config, PwDiag *diags);

#endif
