// The peer `emmett-postgresql` (Node): its event store with a pool of pg's, asked as the others are;
// `answering.py` says how.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

import { STREAM_DOES_NOT_EXIST } from "@event-driven-io/emmett";
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";
import pg from "pg";

const CONNECTIONS = 16; // The best of 8, 16, 32 and 64 with 64 in flight, or as good.

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url)));
const say = (what) => console.log(JSON.stringify(what));
const version = (name) => read(`node_modules/${name}/package.json`).version;

const data = read("event.json");
const connectionString = process.argv[2];
const pool = new pg.Pool({ connectionString, max: CONNECTIONS });
const store = getPostgreSQLEventStore(connectionString, {
  connectionOptions: { pool },
  schema: { autoMigration: "None" }, // Once, below, not before every append.
});

const caller = async (until) => {
  let appends = 0;
  while (performance.now() < until) {
    await store.appendToStream(`issue-${randomUUID()}`, [{ type: "IssueCreated", data }], {
      expectedStreamVersion: STREAM_DOES_NOT_EXIST,
    });
    appends += 1;
  }
  return appends;
};

await store.schema.migrate();
say({
  versions:
    `emmett-postgresql ${version("@event-driven-io/emmett-postgresql")} ` +
    `(pg ${version("pg")}, Node ${process.versions.node})`,
  note: "",
});
for await (const line of createInterface({ input: process.stdin })) {
  const { in_flight, seconds } = JSON.parse(line);
  const began = performance.now();
  const callers = Array.from({ length: in_flight }, () => caller(began + seconds * 1000));
  const appends = (await Promise.all(callers)).reduce((sum, one) => sum + one, 0);
  say({ appends, seconds: (performance.now() - began) / 1000 });
}
await store.close();
await pool.end();
