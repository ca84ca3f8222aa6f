import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { parseKeyFile } from "../src/api/keys.ts";
import { freshFolder, runCommand } from "./support/door.ts";

const KEY = /^parley_([a-z0-9]{10})_[A-Za-z0-9_-]{43}\n/;

describe("the command keys", () => {
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
    const token = "31429462-3a09-4d49-9478-a9bb932ccd86";
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
      ...["--application", token, "--application", token],
    );
    expect(statSync(file).mode & 0o777).to.equal(0o640);
    const [one, two] = parseKeyFile(readFileSync(file, "utf8"));
    expect(one).to.include({ id: KEY.exec(first.stdout)![1], comment: "the shop" });
    expect(two).to.deep.include({ scopes: ["read"], applications: [token, token] });
    const lifeMs = Date.parse(two!.expireTime!) - from;
    expect(lifeMs / 86_400_000).to.be.within(30, 30.01);
    expect(existsSync(`${file}.new`)).to.equal(false);

    const listed = await keys("list", "--file", file);
    expect(listed.stdout).to.equal(
      `${one!.id}\tread+write\tall applications\tnever expires\tthe shop\n` +
        `${two!.id}\tread\t${token},${token}\texpires ${two!.expireTime}\n`,
    );
    expect(await keys("revoke", "--file", file, one!.id)).to.include({ code: 0 });
    expect(parseKeyFile(readFileSync(file, "utf8"))).to.deep.equal([two]);
    const again = await keys("revoke", "--file", file, one!.id);
    expect(again).to.include({ code: 1 });
    expect(again.stderr).to.equal(`parley keys revoke: ${file} has no key ${one!.id}\n`);
  });

  it("create loses no key of several commands at a time", async () => {
    const file = path("busy.json");
    const ends = await Promise.all(Array.from({ length: 4 }, () => keys("create", "--file", file)));
    const made = ends.filter(({ code }) => code === 0).map(({ stdout }) => KEY.exec(stdout)![1]);
    const ids = parseKeyFile(readFileSync(file, "utf8")).map(({ id }) => id);
    expect(ids).to.have.members(made);
    for (const { code, stderr } of ends) {
      if (code !== 0) expect(stderr).to.contain("another command is at work");
    }
  });

  it("create leaves a file alone that it cannot read, and says what is wrong", async () => {
    const file = path("broken.json");
    writeFileSync(file, "{");
    const wrong = [
      ["--file", file, `parley keys create: ${file} is no JSON\n`],
      ["--file", path("no/such"), "ENOENT"],
      ["--application", "x", "applications[0] must be a lower-case UUID of version 4"],
      ["--expire-days", "0", "It must be a whole number from 1 to 36500."],
    ] as const;
    for (const [option, value, fault] of wrong) {
      const { stdout, stderr, code } = await keys("create", option, value);
      expect({ stdout, code }).to.deep.equal({ stdout: "", code: 1 });
      expect(stderr).to.contain(fault);
    }
    expect(readFileSync(file, "utf8")).to.equal("{");
    expect(existsSync(`${file}.new`)).to.equal(false);
  });

  it("makes what sha256sum makes of a key", async () => {
    const [key, line] = (await keys("create")).stdout.split("\n");
    const sum = execFileSync("sha256sum", { input: key! }).toString().split(" ")[0];
    expect(JSON.parse(line!).hash).to.equal(`sha256:${sum}`);
  });
});

describe("a server that is started", () => {
  const folder = freshFolder();
  const { path } = folder;
  after(() => folder.drop());

  it("names what is wrong with its file of keys in one line", async () => {
    writeFileSync(path("broken.json"), "parley_0123456789_secret");
    const PARLEY_DATA_DIR = path("data");
    for (const [file, fault] of [
      [path("none.json"), "cannot be read: ENOENT"],
      [path("broken.json"), "is no JSON"],
    ] as const) {
      const env = { PARLEY_DATA_DIR, PARLEY_KEYS_FILE: file, PARLEY_GRPC_ADDRESS: "127.0.0.1:0" };
      const { stderr, code } = await runCommand(["all"], env);
      expect(code).to.equal(1);
      expect(stderr).to.match(new RegExp(`^parley all: PARLEY_KEYS_FILE ${fault}.*\n$`));
    }
  });

  it("does not listen beyond loopback without keys", async () => {
    const { stderr, code } = await runCommand(["api"], { PARLEY_GRPC_ADDRESS: "0.0.0.0:0" });
    expect(code).to.equal(1);
    expect(stderr).to.contain("PARLEY_GRPC_ADDRESS is beyond loopback");
  });
});
