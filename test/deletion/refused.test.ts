import { status } from "@grpc/grpc-js";
import { expect } from "chai";
import { State } from "../../clients/typescript/src/contract.ts";
import type { Core } from "../../src/core/core.ts";
import { deleteWhole } from "../../src/core/deletion.ts";
import type { Intake } from "../../src/core/intake.ts";
import type { Stack } from "../../src/core/ports.ts";
import {
  describeStacks,
  freshPlace,
  type Place,
  type Running,
  refusalOf,
  start,
} from "../support/system.ts";

describeStacks("a deletion beside creates", (stack) => {
  let place: Place;
  let parley: Running;
  let applicationToken: string;

  beforeEach(async () => {
    place = await freshPlace(stack);
    parley = await start(place);
    const { application } = await parley.clients.createApplication({ application: { name: "x" } });
    applicationToken = application!.token;
  });
  afterEach(async () => {
    await parley?.stop();
    await place?.drop();
  });

  /** The rules on an intake one of whose methods does something else around it. */
  function coreWith(change: Partial<Intake>): Core {
    const { intake } = parley.system.stack;
    const changed = new Proxy(intake, {
      get: (target, name) => {
        const method = Reflect.get(change, name) ?? Reflect.get(target, name);
        return typeof method === "function" ? method.bind(target) : method;
      },
    });
    const parts: Stack = { ...parley.system.stack, intake: changed };
    return { ...parley.system.core, ...parts };
  }

  it("that is refused because of one may skip numbers, and gives none twice", async () => {
    const { intake } = parley.system.stack;
    let number = 0;
    const core = coreWith({
      remove: async (counter, expected) => {
        const removed = await intake.remove(counter, expected);
        if (number === 0) {
          const { chat } = await parley.clients.createChat({ applicationToken });
          number = chat!.number;
        }
        return removed;
      },
    });
    const step = { known: true, force: false, now: new Date() };
    const refusal = await deleteWhole(core, { applicationToken }, step).catch((error) => error);
    expect(refusal.reason).to.equal("NOT_EMPTY");
    expect(number).to.be.at.least(1);
    const next = await parley.clients.createChat({ applicationToken });
    expect(next.chat!.number).to.equal(number + 1);
    const { chats } = await parley.clients.listChats({ applicationToken });
    expect(chats.map((one) => one.number)).to.deep.equal([number, number + 1]);
  });

  it("whose process dies before the intake heard of it deletes what comes after, too", async () => {
    const { chat } = await parley.clients.createChat({
      applicationToken,
      waitFor: State.STATE_PERSISTED,
    });
    const key = { applicationToken, chatNumber: chat!.number };
    const say = (body: string) => parley.clients.createMessage({ ...key, message: { body } });
    await say("before");
    const core = coreWith({
      remove: async () => {
        throw new Error("died");
      },
    });
    const step = { known: true, force: true, now: new Date() };
    await deleteWhole(core, key, step).catch(() => {});
    await say("after").catch(() => {});
    const refusal = await refusalOf(parley.clients.listMessages(key));
    expect(refusal.code).to.equal(status.NOT_FOUND);
    const chatRefusal = await refusalOf(
      parley.clients.getChat({ applicationToken, number: key.chatNumber }),
    );
    expect(chatRefusal.reason).to.equal("NUMBER_VOID");
  });
});
