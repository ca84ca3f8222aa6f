import { newChat, Trusted } from "./intakes.ts";
import { openQueue, type Place } from "./queues.ts";

// A process to be killed while it has jobs in work: `node victim.ts <stack> <at> <jobs>`.

const [, , stack, at, jobs] = process.argv;
const { intake, queue } = openQueue({ stack, at } as Place);
const trusted = await new Trusted(intake).begin();
const chat = newChat();
await trusted.seed(chat);
for (let job = 0; job < Number(jobs); job++) await trusted.take(chat);
const taken: string[] = [];
queue.process(100, async ({ id }) => {
  taken.push(id);
  if (taken.length === Number(jobs)) console.log(JSON.stringify(taken));
  await new Promise(() => {});
});
