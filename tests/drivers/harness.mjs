// SPDX-License-Identifier: ISC
// What the JavaScript programs share: runs the scenarios of the command line and prints a line for each.

export class NotSupported extends Error {}

export function check(got, want) {
    const a = JSON.stringify(got), b = JSON.stringify(want);
    if (a !== b) throw new Error(`${String(a).slice(0, 200)} instead of ${String(b).slice(0, 80)}`);
}

// The SQLSTATE (or code) of the error that `promise` must end with.
export async function code(promise) {
    try {
        await promise;
    } catch (e) {
        return e.code;
    }
    throw new Error('no error');
}

export async function main(scenarios, open, close) {
    for (const name of process.argv.slice(2)) {
        let c = null, line;
        try {
            c = await open();
            const detail = await scenarios[name](c, process.env.PGUSER);
            line = [name, 'ok', detail === undefined ? '' : String(detail)];
        } catch (e) {
            line = e instanceof NotSupported ? [name, 'n/a', e.message] : [name, 'FAIL', `${e.code || ''} ${e.message}`];
        }
        try {
            if (c) await close(c);
        } catch (e) { /* the scenario ended the connection */ }
        console.log(line.map((s) => s.replace(/[\n\t]/g, ' ')).join('\t'));
    }
    process.exit(0);
}
