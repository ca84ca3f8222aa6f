import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { expect } from "chai";
import { parseKeyFile } from "../src/api/keys.ts";
import { addKey, revokeKey } from "../src/keys.ts";
import { freshFolder, makeKey, runCommand, startCommand } from "./support/door.ts";

const KEY = /^parley_([a-z0-9]{10})_[A-Za-z0-9_-]{43}\n/;
const TOKENS = [
  "31429462-3a09-4d49-9478-a9bb932ccd86",
  "4fd0b4a0-3307-40e4-8547-96a2c800e279",
] as const;

describe("the command keys", function () {
  this.timeout(120_000);
  const folder = freshFolder();
  const { path } = folder;
  after(() => folder.drop());

  const keys = (...args: string[]) => runCommand(["keys", ...args]);

  it("create shows a key and its entry, which has the hash of the key alone", async () => {
    const { stdout, stderr, code } = await keys("create");
    expect({ stderr, code }).to.deep.equal({ stderr: "", code: 0 });
    expect(stdout).to.match(KEY);
    const [key, line] = stdout.trimEnd().split("\n");
    const [entry] = parseKeyFile(`{"keys":[${line}]}`);
    const hash = createHash("sha256").update(key!).digest("hex");
    expect(entry).to.deep.equal({
      id: KEY.exec(stdout)![1],
      hash: `sha256:${hash}`,
      scopes: ["read", "write"],
    });
  });

  it("create adds to a file, made for its owner alone, and keeps what is there", async () => {
    const file = path("keys.json");
    const first = await keys("create", "--file", file, "--comment", "the shop");
    expect(first.stdout).to.match(new RegExp(`${KEY.source}$`));
    expect(first.stderr).to.contain("it is shown only now");
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    // Whoever opened it for a group keeps that, and a link stays one.
    chmodSync(file, 0o640);
    symlinkSync(file, path("link"));
    const from = Date.now();
    await keys(
      ...["create", "--file", path("link"), "--read-only", "--expire-days", "30"],
      ...["--application", TOKENS[0], "--application", TOKENS[1]],
    );
    expect(statSync(file).mode & 0o777).to.equal(0o640);
    expect(lstatSync(path("link")).isSymbolicLink()).to.equal(true);
    const [one, two] = parseKeyFile(readFileSync(file, "utf8"));
    expect(one).to.include({ id: KEY.exec(first.stdout)![1], comment: "the shop" });
    expect(two).to.deep.include({ scopes: ["read"], applications: TOKENS });
    const lifeMs = Date.parse(two!.expireTime!) - from;
    expect(lifeMs / 86_400_000).to.be.within(30, 30.01);
    expect(existsSync(`${file}.new`)).to.equal(false);
  });

  it("list says what each may do, and revoke takes one out", async () => {
    const file = path("listed.json");
    const [one, two] = [makeKey({ comment: "shop" }), makeKey({ applications: [...TOKENS] })];
    for (const { entry } of [one, two]) await addKey(file, entry);
    const listed = await keys("list", "--file", file);
    expect(listed.stdout).to.equal(
      `${one.entry.id}\tread+write\tall applications\tnever expires\tshop\n` +
        `${two.entry.id}\tread+write\t${TOKENS.join(",")}\tnever expires\n`,
    );
    expect(await keys("revoke", "--file", file, one.entry.id)).to.include({ code: 0 });
    expect(parseKeyFile(readFileSync(file, "utf8"))).to.deep.equal([two.entry]);
    const again = await revokeKey(file, one.entry.id).catch((error: Error) => error.message);
    expect(again).to.equal(`${file} has no key ${one.entry.id}`);
  });

  it("create loses no key of several commands at a time", async () => {
    const file = path("busy.json");
    const made = Array.from({ length: 8 }, () => makeKey().entry);
    const ends = await Promise.allSettled(made.map((entry) => addKey(file, entry)));
    const added = made.filter((_, at) => ends[at]!.status === "fulfilled");
    expect(parseKeyFile(readFileSync(file, "utf8"))).to.have.deep.members(added);
    for (const end of ends) {
      if (end.status === "rejected") expect(end.reason.message).to.contain("another command");
    }
  });

  it("create leaves a file alone that it cannot read, and says what is wrong", async () => {
    const file = path("broken.json");
    writeFileSync(file, "{");
    const wrong = [
      ["--file", file, `parley keys create: ${file} is no JSON\n`, 1],
      ["--application", "x", "It must be a lower-case UUID of version 4.", 2],
      ["--expire-days", "0", "It must be a whole number from 1 to 36500.", 2],
    ] as const;
    await Promise.all(
      wrong.map(async ([option, value, fault, end]) => {
        const { stdout, stderr, code } = await keys("create", option, value);
        expect({ stdout, code }).to.deep.equal({ stdout: "", code: end });
        expect(stderr).to.contain(fault);
      }),
    );
    expect(readFileSync(file, "utf8")).to.equal("{");
    expect(existsSync(`${file}.new`)).to.equal(false);
  });
});

describe("a server that is started", function () {
  this.timeout(120_000);
  const folder = freshFolder();
  const { path } = folder;
  after(() => folder.drop());

  it("names what is wrong with its file of keys in one line", async () => {
    writeFileSync(path("broken.json"), "parley_0123456789_secret");
    const faults = { "none.json": "cannot be read: ENOENT", "broken.json": "is no JSON" };
    await Promise.all(
      Object.entries(faults).map(async ([name, fault]) => {
        const { stderr, code } = await runCommand(["start"], {
          PARLEY_DATA_DIR: path(`data-${name}`),
          PARLEY_KEYS_FILE: path(name),
          PARLEY_GRPC_ADDRESS: "127.0.0.1:0",
        });
        expect(code).to.equal(1);
        expect(stderr).to.match(new RegExp(`^parley start: PARLEY_KEYS_FILE ${fault}.*\n$`));
      }),
    );
  });

  it("does not listen beyond loopback without keys, unless it is told to", async () => {
    const beyond = {
      PARLEY_GRPC_ADDRESS: "0.0.0.0:0",
      PARLEY_DATA_DIR: path("data"),
      PARLEY_LOG_LEVEL: "info",
    };
    const refused = await runCommand(["start"], beyond);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.contain("PARLEY_GRPC_ADDRESS is beyond loopback");
    const told = await startCommand(["start", "--insecure"], beyond, "started");
    expect(told).to.contain("INSECURE: no keys are asked for");
    expect(told).to.contain("INSECURE: without TLS");
    expect(told).to.contain("Parley serves gRPC on 0.0.0.0:");
  });
});
