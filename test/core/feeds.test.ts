import { expect } from "chai";
import { Feeds } from "../../src/core/feeds.ts";
import { WATCHERS_MAX } from "../../src/core/limits.ts";

describe("those who watch in one process", () => {
  it("leave room for other applications, and for others when they go", () => {
    const feeds = new Feeds({ now: () => 0 });
    const { application, process } = WATCHERS_MAX;
    const leave = Array.from({ length: application }, () => feeds.enter("one"));
    expect(() => feeds.enter("one")).to.throw("too many callers watch");
    for (let others = application; others < process; others++) feeds.enter("another");
    expect(() => feeds.enter("a third")).to.throw("too many callers watch");
    for (const one of leave) one();
    feeds.enter("one");
    feeds.enter("a third");
  });
});
