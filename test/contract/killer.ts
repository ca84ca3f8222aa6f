import { openQueue, type Place } from "./queues.ts";

// A worker that some jobs kill: `node killer.ts <stack> <at> <stall ms> <ids, with commas>`. It
// ends by itself when nothing is left but parked jobs, and says where a suspect had company.

const [, , stack, at, stallMs, killers] = process.argv;
const deadly = new Set(killers!.split(","));
const { queue, close } = openQueue({ stack, at, stallMs: Number(stallMs) } as Place);
const inWork = new Map<string, boolean>();
queue.process(100, async ({ id, suspect }) => {
  inWork.set(id, suspect);
  const beside = [...inWork.values()];
  if (beside.includes(true) && beside.includes(false)) console.log("a suspect had company");
  if (deadly.has(id)) process.kill(process.pid, "SIGKILL");
  await new Promise((resolve) => setTimeout(resolve, 20));
  inWork.delete(id);
});
for (;;) {
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { parked: _, ...left } = await queue.counts();
  if (Object.values(left).every((jobs) => jobs === 0)) break;
}
await queue.stop(1_000);
close();
