import Queue from "bee-queue";

// The floor of a worker: Bee-Queue with a handler that does nothing, set up as Parley's is.

const CONCURRENCY = 1_000;

process.once("message", ({ host, port, db }: { host: string; port: number; db: number }) => {
  const queue = new Queue("parley", {
    redis: { host, port, db },
    getEvents: false,
    sendEvents: false,
    storeJobs: false,
    removeOnSuccess: true,
  });
  queue.process(CONCURRENCY, async () => {});
});
process.on("disconnect", () => process.exit());
process.send!({});
