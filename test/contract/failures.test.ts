import { expect } from "chai";
import { ParleyError } from "../../src/errors.ts";
import { failureOf, nameOf, storeUnavailable } from "../../src/stacks/sql/failures.ts";

const error = (fields: object, message = "text") => Object.assign(new Error(message), fields);

describe("errors of a database", () => {
  const failures: [string, object, ReturnType<typeof failureOf>][] = [
    ["a null", error({ errno: 1048, code: "ER_BAD_NULL_ERROR" }), "data"],
    ["a text that is too long", error({ errno: 1406, code: "ER_DATA_TOO_LONG" }), "data"],
    ["a number out of range", error({ errno: 1264 }), "data"],
    ["bytes that are no text", error({ errno: 1366 }), "data"],
    ["a packet that is too large", error({ errno: 1153 }), "data"],
    ["a constraint of SQLite", error({ errcode: 1299, code: "ERR_SQLITE_ERROR" }), "data"],
    ["a deadlock", error({ errno: 1213 }), "contention"],
    ["a lock wait time-out", error({ errno: 1205 }), "contention"],
    ["a busy SQLite", error({ errcode: 5 }), "contention"],
    ["a read-only server", error({ errno: 1290, code: "ER_OPTION_PREVENTS_STATEMENT" }), "away"],
    ["a read-only transaction", error({ errno: 1792 }), "away"],
    ["a full table or disk", error({ errno: 1114 }), "away"],
    ["a full disk", error({ errno: 1021 }), "away"],
    ["a server that shuts down", error({ errno: 1053 }), "away"],
    ["a statement that was killed", error({ errno: 1317 }), "away"],
    ["too many connections", error({ errno: 1040 }), "away"],
    ["a wrong password", error({ errno: 1045 }), "away"],
    ["a table that is missing", error({ errno: 1146 }), "away"],
    ["a Galera node that is not ready", error({ errno: 1047 }), "away"],
    ["a refused connection", error({ errno: -111, code: "ECONNREFUSED" }), "away"],
    ["a lost connection", error({ code: "PROTOCOL_CONNECTION_LOST", fatal: true }), "away"],
    ["a closed pool", error({}, "Pool is closed."), "away"],
    ["a full SQLite", error({ errcode: 13 }), "away"],
    ["an I/O error of SQLite", error({ errcode: 10 + 256 }), "away"],
    ["a read-only SQLite", error({ errcode: 8 }), "away"],
    ["a mistake of ours", new TypeError("undefined is not a function"), "defect"],
    ["an error of ours", new ParleyError("STORE_UNAVAILABLE", "away"), "defect"],
  ];
  for (const [name, thrown, failure] of failures) {
    it(`take ${name} for ${failure}`, () => {
      expect(failureOf(thrown)).to.equal(failure);
    });
  }

  it("leave without the statement or the value that they quote", () => {
    const secret = "a body that nobody may log";
    const fields = { errno: 1366, code: "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD", sql: secret };
    const thrown = error(fields, `Incorrect string value: '${secret}'`);
    expect(nameOf(thrown)).to.equal("ER_TRUNCATED_WRONG_VALUE_FOR_FIELD (1366)");
    const away = storeUnavailable(
      error({ errno: 1205, code: "ER_LOCK", sql: secret }, "Lock wait"),
    );
    expect(JSON.stringify([away, Object.entries(away.cause as Error)])).to.not.include(secret);
    expect((away.cause as Error).message).to.equal("ER_LOCK (1205): Lock wait");
    expect((away.cause as Error).stack).to.not.include(secret);
  });
});
